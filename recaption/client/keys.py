"""The key of an endpoint, which comes from an environment variable and from nowhere else."""

from __future__ import annotations

import os

from manifests.errors import EndpointError
from manifests.step import RequestStep

SECRET_CHARS = 16
"""A shorter key is hidden in errors, but not in replies (our choice): it may be a placeholder such
as EMPTY, which is a word of a reply, or `a`."""


def api_key(step: RequestStep, place: str) -> str | None:
    """Returns the key from the environment, or None. No error contains the key."""
    name = step.api_key_variable
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        fix = f"Set it where the worker runs: export {name}=KEY. On a cluster, on every node."
        raise EndpointError(f"the environment variable {name} is not set", place, fix)
    if not (key.isascii() and key.isprintable()) or " " in key:
        fault = f"the environment variable {name} is no key: it has spaces or other characters"
        raise EndpointError(fault, place, "Set it to the key alone.")
    return key
