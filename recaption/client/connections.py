"""Sends HTTP requests to one endpoint, over one connection for each thread, and with one time limit
for the whole answer.

It uses the standard library's `http.client`, which never repeats a request by itself. So `Client`
decides on, and counts, every request that is sent.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import select
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from recaption.client.proxies import proxy_of

MAX_BYTES = 64 << 20
"""The most bytes of an answer that is read (our choice)."""
_BLOCK = 1 << 16
_MAX_INFORMATIONAL = 100
"""The most informational answers (status 102 or 103) before the final answer (our choice)."""
_REFUSED = re.compile(r"Tunnel connection failed: (\d{3}) ?(.*)")
"""Matches the error of `http.client` if a proxy answers CONNECT with another status than 200."""


class HttpAnswer(NamedTuple):
    """An answer of an HTTP server. The names in `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _FinalResponse(http.client.HTTPResponse):
    """Reads an HTTP answer and skips the informational answers (status 102 or 103) before it.
    `http.client` itself would return the first of these."""

    def begin(self) -> None:
        super().begin()
        for _ in range(_MAX_INFORMATIONAL):
            if self.status not in (102, 103):
                return
            self.headers = None  # type: ignore[assignment]  # so that the next head is read
            super().begin()
        raise http.client.HTTPException(f"more than {_MAX_INFORMATIONAL} informational answers")


class Connections:
    """Sends requests to paths below the address `endpoint`, with `key` as the bearer token unless
    it is None. The `repr` of an object does not contain the key."""

    def __init__(self, endpoint: str, key: str | None, timeout_seconds: float) -> None:
        url = urlsplit(endpoint)
        self._is_https, self._host = url.scheme == "https", url.hostname
        self._port = url.port or (443 if self._is_https else 80)  # http.client takes one of an IPv6
        self._query = f"?{url.query}" if url.query else ""  # such as the api-version of Azure
        self._base = url.path.rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout = timeout_seconds
        self._tls = ssl.create_default_context() if self._is_https else None
        self._proxy = proxy_of(url.scheme, url.hostname or "", url.port)
        if self._proxy and not self._is_https:  # the proxy gets the whole address
            self._base = f"http://{url.netloc.rpartition('@')[2]}{self._base}"
            self._headers |= self._proxy.headers
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def post(self, path: str, body: bytes) -> HttpAnswer:
        """Send a request to a path such as "/chat/completions", and return the complete answer with
        any status.

        Raises OSError (TimeoutError, ConnectionError) or http.client.HTTPException if there is no
        complete answer. A connection that the server has closed since the last answer is replaced
        before the request is sent.
        """
        deadline = time.monotonic() + self._timeout
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None and _is_closed(kept.sock):
            kept.close()
            self._open.remove(kept)
            kept = None
        return self._exchange(kept or self._connect(), path, body, deadline)

    def close(self) -> None:
        """Close all connections. Requests that wait for an answer end with an error."""
        for connection in list(self._open):
            if (sock := connection.sock) is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._proxy[:2] if self._proxy else (self._host or "", self._port)
        made = (
            http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(host, port, timeout=self._timeout)
        )
        made.response_class = _FinalResponse
        if self._proxy and self._tls:
            made.set_tunnel(self._host or "", self._port, dict(self._proxy.headers))
        self._open.append(made)
        return made

    def _exchange(
        self, connection: http.client.HTTPConnection, path: str, body: bytes, deadline: float
    ) -> HttpAnswer:
        self._local.connection = None  # kept again only after a complete answer
        try:
            connection.timeout = _left(deadline)
            if connection.sock is None and (refusal := _connected(connection)):
                return refusal
            connection.sock.settimeout(_left(deadline))
            connection.request("POST", self._base + path + self._query, body, self._headers)
            sock = connection.sock
            response = connection.getresponse()
            data = _read(response, sock, deadline)
            headers = {name.lower(): value for name, value in response.getheaders()}
        except BaseException:
            connection.close()
            self._open.remove(connection)
            raise
        if connection.sock is None:  # the server closes it after this answer
            self._open.remove(connection)
        else:
            self._local.connection = connection
        if headers.get("content-encoding") == "gzip":  # some proxies ignore that it is not accepted
            data = _unpacked(data)
        return HttpAnswer(response.status, headers, data)


def _connected(connection: http.client.HTTPConnection) -> HttpAnswer | None:
    """Opens a connection. Returns None if this succeeds. If a proxy refuses to connect to the
    endpoint, returns the answer of the proxy."""
    try:
        connection.connect()
    except OSError as error:
        refused = _REFUSED.match(str(error))
        if refused is None:
            raise
        text = f"the proxy does not connect to the endpoint: {refused[2]}"
        return HttpAnswer(int(refused[1]), {}, text.encode())
    return None


def _is_closed(sock: socket.socket) -> bool:
    """Returns whether the server has closed an unused connection. The socket of a closed connection
    has something to read: the end of the data."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _read(response: http.client.HTTPResponse, sock: socket.socket, deadline: float) -> bytes:
    """Returns the body of an answer. Raises TimeoutError at the deadline, because the timeout of
    the socket itself starts again with every byte."""
    blocks, size = [], 0
    while True:
        sock.settimeout(_left(deadline))
        block = response.read1(_BLOCK)
        if not block:
            break
        blocks.append(block)
        size += len(block)
        if size > MAX_BYTES:
            raise http.client.HTTPException(f"the answer is longer than {MAX_BYTES} bytes")
    response.close()  # so that the connection can be used again
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(blocks)


def _unpacked(data: bytes) -> bytes:
    """Returns the content of a gzip stream. Raises HTTPException if the stream is not valid or its
    content is longer than `MAX_BYTES`."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise http.client.HTTPException(f"the answer is not a gzip stream: {error}") from None
    if not unpacker.eof:
        raise http.client.HTTPException("the gzip stream of the answer is incomplete or too long")
    return unpacked


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
