"""Reads the key of an endpoint, which comes only from an environment variable."""

from __future__ import annotations

import os

from manifests.errors import EndpointError
from manifests.step import RequestStep

SECRET_CHARS = 16
"""A key with fewer characters is hidden in errors, but not in replies (our choice). It may be a
placeholder such as `EMPTY`, a word that replies can contain."""


def api_key(step: RequestStep, place: str) -> str | None:
    """Returns the key of the endpoint; None if the step uses no key. Raises EndpointError if the
    variable is not set or not valid. The error does not contain the key."""
    name = step.api_key_variable
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        fix = f"Set it where the worker runs, on a cluster on every node: export {name}=KEY"
        raise EndpointError(f"the environment variable {name} is not set", place, fix)
    if not (key.isascii() and key.isprintable()) or " " in key:
        fault = f"the environment variable {name} has no valid key: it has spaces or is not ASCII"
        raise EndpointError(fault, place, "Set it to the key alone.")
    return key
