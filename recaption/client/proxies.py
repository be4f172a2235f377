"""Reads the proxy from the environment variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY, also in
lower case, as Python's urllib does. ALL_PROXY is used if there is none for the scheme."""

from __future__ import annotations

import base64
import urllib.request
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from manifests.errors import EndpointError

_FIX = "Set it to http://HOST:PORT, or add the host of the endpoint to NO_PROXY."


class Proxy(NamedTuple):
    """The address of a proxy, and the headers with its credentials, which are never printed."""

    host: str
    port: int
    headers: Mapping[str, str]


def proxy_of(scheme: str, host: str, port: int | None) -> Proxy | None:
    """Returns the proxy for requests to a host; None if no proxy is used. Raises EndpointError if
    the environment variable is not the address of an HTTP proxy."""
    found = urllib.request.getproxies_environment()
    name = scheme if scheme in found else "all"
    place = host if port is None else f"{host}:{port}"
    if name not in found or urllib.request.proxy_bypass(place):
        return None
    address = found[name] if "://" in found[name] else f"http://{found[name]}"
    try:
        url = urlsplit(address)
        proxy_host, proxy_port = url.hostname, url.port or 80
    except ValueError:
        proxy_host = None
    if proxy_host is None or url.scheme != "http":
        fault = f"the environment variable {name.upper()}_PROXY is not the address of an HTTP proxy"
        raise EndpointError(fault, place, _FIX)
    return Proxy(proxy_host, proxy_port, _credentials(url.username, url.password))


def _credentials(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}
