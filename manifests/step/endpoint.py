"""Checks the settings of request steps about their endpoint, so that mistakes are found before a
request is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

_PATHS = ("/chat/completions", "/embeddings")
_SETTINGS = ("model", "max_tokens", "temperature", "seed")
_OF_THE_CLIENT = ("messages", "input", "stream", "n")
"""Parameters that users cannot set, because the client sets them or needs their default values: it
expects one complete reply to a request."""


def checked_endpoint(address: str) -> str:
    """Returns the address of an endpoint without spaces around it. Raises ValueError if the address
    is not valid for requests."""
    address = address.strip()
    if not address.lower().startswith(("http://", "https://")):
        raise ValueError(
            "the address must begin with http:// or https://, such as http://127.0.0.1:8000/v1"
        )
    if not address.isascii() or not address.isprintable() or " " in address:
        raise ValueError("the address has a space or non-ASCII character: percent-encode it")
    url = urlsplit(address)
    if url.port == 0 or not url.hostname or max(map(len, url.hostname.split("."))) > 63:
        raise ValueError("the address has no valid host and port, such as http://127.0.0.1:8000/v1")
    if url.fragment or url.path.rstrip("/").endswith(_PATHS):
        paths = " or ".join(_PATHS)
        raise ValueError(f"the address must not have a fragment (#) or end with {paths}")
    return address


def checked_parameters(parameters: Mapping[str, Any]) -> None:
    """Raises ValueError if parameters of a request cannot be sent, or if they override what the
    step or its client sets."""
    for name in parameters:
        if name in _SETTINGS:
            raise ValueError(f"'{name}' is a setting of the step: set it there")
        if name in _OF_THE_CLIENT:
            raise ValueError(f"'{name}' cannot be set: leave it out")
    try:
        orjson.dumps(dict(parameters), option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise ValueError(f"the parameters cannot be written as JSON: {error}") from None
