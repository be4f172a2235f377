"""Checks that a storage server answers, before a library connects to it. If the server does not
answer, the library would try again for minutes, without an error."""

from __future__ import annotations

import os
import socket
import ssl
import time
from urllib.parse import parse_qsl, urlsplit

import pyarrow.fs as pafs

SECONDS = 5
"""The seconds to wait for a connection, and again for the first byte of an answer (our choice: with
both, an error comes within 15 seconds)."""
KNOWN_SECONDS = 60
"""The seconds for which an endpoint that did not answer is not asked again (our choice)."""
_HELLO = "HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_NOT_REACHED = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
_known: dict[tuple[str, str, str], tuple[float, str | None]] = {}


def first_answer(host: str, port: int, hello: bytes, tls: bool = False) -> bytes:
    """Connects to a server, sends `hello`, and returns the first bytes that the server answers.
    Raises OSError, whose message states what is wrong, if the server cannot be reached, or sends
    nothing within SECONDS."""
    place = f"{host}:{port}"
    try:
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            _encrypted(plain) if tls else plain as connection,
        ):
            connection.sendall(hello)
            answer = connection.recv(64)
    except TimeoutError:
        raise OSError(f"{place} does not answer within {SECONDS} seconds") from None
    except socket.gaierror:
        raise OSError(f"{place} cannot be reached: no machine has the name '{host}'") from None
    except OSError as error:
        raise OSError(f"{place} cannot be reached: {error.strerror or error}") from None
    if not answer:
        raise OSError(f"{place} closes the connection without an answer")
    return answer


def _encrypted(plain: socket.socket) -> socket.socket:
    """Returns a TLS connection over the connection `plain`. The certificate is not checked here,
    because the library that connects later checks it. The TLS connection takes over the socket of
    `plain`, so both connections must be closed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)


def endpoint_fault(scheme: str, bucket: str, query: str) -> str | None:
    """Returns an error text if the storage server of a bucket cannot be reached; None if the server
    answers, or needs no check (see `_endpoint`). `scheme` and `query` are those of the bucket's
    URL: `s3`, `region=r`."""
    key = (scheme, bucket, query)
    when, fault = _known.get(key, (0.0, ""))
    if fault is None or (fault and time.monotonic() - when < KNOWN_SECONDS):
        return fault
    fault = _asked(scheme, bucket, query)
    _known[key] = (time.monotonic(), fault)
    return fault


def _asked(scheme: str, bucket: str, query: str) -> str | None:
    endpoint = _endpoint(scheme, query)
    if endpoint is not None:
        return _endpoint_fault(endpoint)
    return _cloud_fault(bucket, query) if scheme in ("gs", "gcs") else None


def _endpoint(scheme: str, query: str) -> str | None:
    """Returns the address of the storage server that the URL's query or the environment states;
    None if neither states an address.

    For S3 without an address, no check is needed: the library for S3 gives up by itself after 6
    seconds without a connection.
    """
    settings = dict(parse_qsl(query))
    given = settings.get("endpoint_override")
    if given is None and scheme == "s3":
        given = next((os.environ[n] for n in _ENDPOINT_VARIABLES if os.environ.get(n)), None)
    if not given or "://" in given:
        return given or None
    return f"{settings.get('scheme', 'https')}://{given}"


def _endpoint_fault(endpoint: str) -> str | None:
    found = urlsplit(endpoint)
    tls = found.scheme != "http"
    host = found.hostname or ""
    try:
        first_answer(
            host, found.port or (443 if tls else 80), _HELLO.format(host=host).encode(), tls
        )
    except (OSError, ValueError) as error:
        return f"the endpoint {error}"
    return None


def _cloud_fault(bucket: str, query: str) -> str | None:
    """Returns an error text if Google's servers, for storage or for credentials, do not answer;
    None if they answer. Google's own library tries again for 15 minutes by default."""
    limited = query if "retry_limit_seconds" in query else f"{query}&retry_limit_seconds=4"
    try:
        system, path = pafs.FileSystem.from_uri(f"gs://{bucket}?{limited.lstrip('&')}")
        system.get_file_info(path)
    except OSError as error:
        if any(word in str(error) for word in _NOT_REACHED):
            return str(error).partition(" error_info=")[0]
    return None
