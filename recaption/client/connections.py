"""HTTP requests to one endpoint: one open connection for each thread, and one time limit for all of
an answer.

This is the standard library's `http.client`, because it repeats nothing on its own: every request
on the wire is one that `Client` decided to send and counts.
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
"""The longest answer that is read (our choice)."""
_BLOCK = 1 << 16
_MAX_INFORMATIONAL = 100
"""The most informational answers before an answer (our choice)."""
_REFUSED = re.compile(r"Tunnel connection failed: (\d{3}) ?(.*)")
"""The message of http.client if a proxy answers CONNECT by another status than 200."""


class HttpAnswer(NamedTuple):
    """An answer of an HTTP server. The names in `headers` are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _FinalResponse(http.client.HTTPResponse):
    """An answer after the informational ones (102, 103) before it, which http.client takes for the
    answer itself."""

    def begin(self) -> None:
        super().begin()
        for _ in range(_MAX_INFORMATIONAL):
            if self.status not in (102, 103):
                return
            self.headers = None  # type: ignore[assignment]  # so that the next head is read
            super().begin()
        raise http.client.HTTPException(f"more than {_MAX_INFORMATIONAL} informational answers")


class Connections:
    """Sends requests to `<endpoint>/chat/completions`. `key` is sent as the bearer token, if it is
    given. No object of this class shows the key."""

    def __init__(self, endpoint: str, key: str | None, timeout_seconds: float) -> None:
        url = urlsplit(endpoint)
        self._is_https, self._host = url.scheme == "https", url.hostname
        self._port = url.port or (443 if self._is_https else 80)  # http.client takes one of an IPv6
        query = f"?{url.query}" if url.query else ""  # such as the api-version of Azure
        self._path = f"{url.path.rstrip('/')}/chat/completions{query}"
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._timeout = timeout_seconds
        self._tls = ssl.create_default_context() if self._is_https else None
        self._proxy = proxy_of(url.scheme, url.hostname or "", url.port)
        if self._proxy and not self._is_https:  # the proxy gets the whole address
            self._path = f"http://{url.netloc.rpartition('@')[2]}{self._path}"
            self._headers |= self._proxy.headers
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def post(self, body: bytes) -> HttpAnswer:
        """Send a request, and return the complete answer, whatever its status is.

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
        return self._exchange(kept or self._connect(), body, deadline)

    def close(self) -> None:
        """Close all connections. Those on which a reply is awaited end with an error."""
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
        self, connection: http.client.HTTPConnection, body: bytes, deadline: float
    ) -> HttpAnswer:
        self._local.connection = None  # kept again only after a complete answer
        try:
            connection.timeout = _left(deadline)
            if connection.sock is None and (refusal := _connected(connection)):
                return refusal
            connection.sock.settimeout(_left(deadline))
            connection.request("POST", self._path, body, self._headers)
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
    """Connect. Returns the answer of a proxy that refuses to."""
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
    """Whether the server has closed a connection that waits for the next request: then it can be
    read at once, to its end."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _read(response: http.client.HTTPResponse, sock: socket.socket, deadline: float) -> bytes:
    """Read an answer to its end, or raise TimeoutError at the deadline: the socket's own limit
    starts again with every byte."""
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
    """The bytes of a gzip stream; at most MAX_BYTES of them."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise http.client.HTTPException(f"the answer is no gzip stream: {error}") from None
    if not unpacker.eof:
        raise http.client.HTTPException("the answer is a cut-off or too long gzip stream")
    return unpacked


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
