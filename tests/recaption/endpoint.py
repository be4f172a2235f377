"""An OpenAI-compatible server on loopback, which answers well or badly, and counts what it was
asked. It is a program too: `python -m tests.recaption.endpoint LOG` prints its port, and writes a
line for each request to the file LOG."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from PIL import Image

KEY = "sk-sEcrEt-0123456789"
MODEL = "test-vlm"


class Asked(NamedTuple):
    """A request that reached the server: its text, its images, its parameters, its headers, and the
    path to which it was sent."""

    text: str
    images: list[bytes]
    body: dict[str, Any]
    headers: dict[str, str]
    path: str

    @property
    def raw_text(self) -> str:
        """The text of the record in the prompt `caption`."""
        parts = self.text.split("---\n")
        return parts[1].strip() if len(parts) == 3 else ""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [Image.open(io.BytesIO(data)).size for data in self.images]


class Answer(NamedTuple):
    """What the server sends. With `length`, it states another Content-Length than it sends. With
    `pause`, it waits so many seconds after each byte of the body. `before` is sent before the
    status line."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    kind: str = "application/json"
    pause: float = 0.0
    before: bytes = b""


def reply(
    text: str | None, finish: str = "stop", model: str = f"{MODEL}-2026", **message: Any
) -> Answer:
    choice = {"index": 0, "finish_reason": finish, "message": {"content": text, **message}}
    usage = {"prompt_tokens": 100, "completion_tokens": 20}
    made = {"id": "1", "model": model, "choices": [choice], "usage": usage}
    return Answer(body=json.dumps(made).encode())


def embedding(vector: Any, count: int = 1, index: int = 0) -> Answer:
    """An answer with an embedding, `count` times."""
    one = {"object": "embedding", "index": index, "embedding": vector}
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    made = {"object": "list", "model": MODEL, "data": [one] * count, "usage": usage}
    return Answer(body=json.dumps(made).encode())


def embedded(asked: Asked, width: int = 8) -> Answer:
    """An embedding that depends on the text alone."""
    digest = hashlib.sha256(asked.text.encode()).digest()
    return embedding([byte / 128 - 1 for byte in digest[:width]])


def refusal(status: int, message: str, code: str = "", **headers: str) -> Answer:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    return Answer(status, body, tuple((n.replace("_", "-"), v) for n, v in headers.items()))


def good(asked: Asked) -> Answer:
    """A description that depends on what was asked alone."""
    mark = hashlib.sha256(b"".join(asked.images) + asked.text.encode()).hexdigest()[:8]
    return reply(f"A long description of the image, with the mark {mark}.")


Behaviour = Callable[[Asked], "Answer | None"]


class Endpoint:
    """`answer` decides what the server sends; None closes the connection. A connection without a
    request for `idle_seconds` is closed. `asked` has all requests, `most` is the largest number of
    them that it worked on at once."""

    def __init__(
        self,
        answer: Behaviour = good,
        seconds: float = 0.0,
        idle_seconds: float | None = None,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.tls, self.address = tls, address
        self.answer, self.seconds, self.idle_seconds = answer, seconds, idle_seconds
        self.asked: list[Asked] = []
        self.busy = self.most = 0
        self.lock = threading.Lock()
        self.url = ""

    @property
    def texts(self) -> list[str]:
        return sorted(one.raw_text for one in self.asked)

    @contextlib.contextmanager
    def serving(self) -> Iterator[Endpoint]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            timeout = endpoint.idle_seconds

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {n.lower(): v for n, v in self.headers.items()}
                asked = _asked(json.loads(data), headers, self.path)
                with endpoint.lock:
                    endpoint.asked.append(asked)
                    endpoint.busy += 1
                    endpoint.most = max(endpoint.most, endpoint.busy)
                time.sleep(endpoint.seconds)
                try:
                    answer = endpoint.answer(asked)
                finally:
                    with endpoint.lock:
                        endpoint.busy -= 1
                self.send(answer)

            def send(self, answer: Answer | None) -> None:
                if answer is None:
                    self.close_connection = True
                    with contextlib.suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.wfile.write(answer.before)
                self.send_response(answer.status)
                length = len(answer.body) if answer.length is None else answer.length
                self.send_header("Content-Length", str(length))
                self.send_header("Content-Type", answer.kind)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    for n in range(len(answer.body) if answer.pause else 0):
                        self.wfile.write(answer.body[n : n + 1])
                        time.sleep(answer.pause)
                    if not answer.pause:
                        self.wfile.write(answer.body)
                if answer.length is not None:
                    self.close_connection = True

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        is_ipv6 = ":" in self.address
        server = (Server6 if is_ipv6 else Server)((self.address, 0), Handler)
        scheme, host = "http", f"[{self.address}]" if is_ipv6 else self.address
        if self.tls:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
            scheme, host = "https", "localhost"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"{scheme}://{host}:{server.server_address[1]}/v1"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed


class Server6(Server):
    address_family = socket.AF_INET6


def _asked(body: dict[str, Any], headers: dict[str, str], path: str) -> Asked:
    if "input" in body:
        return Asked(body["input"], [], body, headers, path)
    texts, images = [], []
    for message in body["messages"]:
        content = message["content"]
        parts: list[dict[str, Any]]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                images.append(base64.b64decode(part["image_url"]["url"].partition(",")[2]))
    return Asked("\n".join(texts), images, body, headers, path)


def main() -> None:
    lock = threading.Lock()

    def answer(asked: Asked) -> Answer:
        with lock, open(sys.argv[1], "a") as log:
            log.write(hashlib.sha256(json.dumps(asked.body).encode()).hexdigest() + "\n")
        return embedded(asked) if "input" in asked.body else good(asked)

    with Endpoint(answer, seconds=0.05).serving() as endpoint:
        print(endpoint.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
