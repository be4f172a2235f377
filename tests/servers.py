"""Servers on loopback that answer badly: none at all, nothing, or always the same."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


def dead_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """The port of a server that accepts connections, and sends `answer` to each request; with None
    it never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening, answer), daemon=True).start()
        yield listening.getsockname()[1]


def _serve(listening: socket.socket, answer: bytes | None) -> None:
    open_ones = []
    with contextlib.suppress(OSError):  # the test ends
        while True:
            connection, _ = listening.accept()
            if answer is None:
                open_ones.append(connection)
                continue
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
