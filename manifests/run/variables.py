"""Records which settings of a recipe have variables such as `${NAME}`, for the manifest of a run.
The manifest has only digests of the variables' values, because a value may be a password."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

from pydantic import BaseModel, Field

from manifests.errors import RecipeError

_COST, _BLOCK, _MEMORY = 1 << 14, 8, 64 << 20
"""Parameters of scrypt (RFC 7914): about 50 ms and 16 MB for one value, so that short values cannot
be guessed quickly from their digests (our choice)."""


class VariableSetting(BaseModel):
    """A setting whose value in the recipe contains an environment variable. `path` leads to the
    setting: `["steps", 2, "embed", "port"]`. `text` is its value as written: `${PORT}`.

    `plain` is true if the value is not in quotes in the recipe. Then the value of the variable may
    be read as a number, as YAML reads 8080 without quotes.
    """

    path: list[str | int]
    text: str
    plain: bool


class Variables(BaseModel):
    """The settings of a recipe that have variables, and a digest of each variable's value, by the
    name of the variable."""

    settings: list[VariableSetting] = Field(default_factory=list)
    digests: dict[str, str | None] = Field(
        default_factory=dict, description="None: the environment did not have the variable"
    )


def value_digest(name: str, value: str, seed: int) -> str:
    """Returns a digest of a variable's value, made by scrypt with the recipe's seed and the
    variable's name as salt."""
    salt = f"curate:{seed}:{name}".encode()
    data = value.encode("utf-8", "surrogateescape")
    key = hashlib.scrypt(
        data, salt=salt, n=_COST, r=_BLOCK, p=1, maxmem=_MEMORY, dklen=16
    )  # fmt: skip
    return f"scrypt:{key.hex()}"


def check(variables: Variables, seed: int, place: str) -> None:
    """Raises RecipeError if an environment variable has another value now than it had in the run
    whose manifest has `variables`."""
    for name, digest in variables.digests.items():
        value = os.environ.get(name)
        if fault := _difference(name, value, digest, seed):
            reset = f"Set the variable to its value in the run to repeat: export {name}=VALUE"
            remove = f"Remove the variable: unset {name}."
            raise RecipeError(fault, place, remove if digest is None else reset)


def _difference(name: str, value: str | None, digest: str | None, seed: int) -> str | None:
    if digest is None:
        if value is None:
            return None
        return f"the environment variable {name} is set, but it was not set in the run to repeat."
    if value is None:
        return f"the environment variable {name} is not set, but it was set in the run to repeat."
    if not hmac.compare_digest(value_digest(name, value, seed), digest):
        return f"the environment variable {name} has another value than in the run to repeat."
    return None


def put(content: Any, path: list[str | int], value: Any) -> None:
    """Sets one value in nested mappings and lists; does nothing if `path` does not exist. For
    `path` ["steps", 2], it sets content["steps"][2]."""
    *walk, last = path
    at = content
    for name in walk:
        if not _has(at, name):
            return
        at = at[name]
    if _has(at, last):
        at[last] = value


def _has(at: Any, name: str | int) -> bool:
    if isinstance(at, dict):
        return name in at
    return isinstance(at, list) and isinstance(name, int) and name < len(at)
