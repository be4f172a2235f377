"""Asks a Ray cluster for an answer before Ray connects to it, because Ray would try for minutes to
reach a cluster that does not answer."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from manifests.errors import ClusterError
from manifests.storage.reachable import first_answer

_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""The preface of HTTP/2 and empty settings (RFC 9113, 3.4): a gRPC server answers with its own
settings."""
_SETTINGS = 4  # the type of a frame with settings (RFC 9113, 6.5)
FIX = (
    "Name the head node of a running cluster, as in --address 10.0.0.1:6379, and check that it has "
    "this version of Ray. For a local Ray, leave out --address, and unset RAY_ADDRESS."
)

_TOKEN = (
    " If the cluster asks for a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
    "RAY_AUTH_TOKEN_PATH."
)
CONNECTION_TRIES = 6
"""How often Ray asks a cluster that refuses the connection, once a second (our choice; Ray's own
default is 20)."""


def check_cluster(address: str | None) -> None:
    """Raises ClusterError if no Ray cluster answers at an address within a few seconds. Nothing is
    checked if `address` is empty, `local` or `auto`; over TLS, any answer is enough. Call this
    before Ray is imported, so that Ray does not wait long for a cluster that refuses the
    connection."""
    if not address or address == "local":
        return
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", str(CONNECTION_TRIES))
    if address != "auto":
        _check(address)


def refusal(address: str, error: Exception) -> ClusterError:
    """Returns a ClusterError with the address and a remedy. `error` is the error that Ray raised
    when it connected to the cluster at this address."""
    [fault, *_] = [*str(error).strip().splitlines(), type(error).__name__]
    return ClusterError(fault, _place(address), FIX + _TOKEN)


def _check(address: str) -> None:
    host, port = _host_and_port(address)
    try:
        tls = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
        answer = first_answer(host, port, _HELLO, tls)
    except OSError as error:
        raise ClusterError(str(error), _place(address), FIX) from None
    if not tls and (len(answer) < 4 or answer[3] != _SETTINGS):
        raise ClusterError("the server at this address is not a Ray cluster", _place(address), FIX)


def _host_and_port(address: str) -> tuple[str, int]:
    scheme, _, rest = address.rpartition("://")
    try:
        found = urlsplit(f"//{rest}")
        if scheme in ("", "ray") and found.hostname and found.port:
            return found.hostname, found.port
    except ValueError:  # the port is no number
        pass
    raise ClusterError(
        "the address of a Ray cluster must be HOST:PORT or ray://HOST:PORT", _place(address), FIX
    )


def _place(address: str) -> str:
    return f"the Ray cluster '{address}'"
