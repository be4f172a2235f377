"""The server of `curate demo`, which answers the requests of the demo's step `recaption`.

The server uses no model: `described` measures the pixels of the image, and writes the numbers in a
sentence. The server supports only the part of the OpenAI protocol that request steps need, and
listens only on loopback.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image

MODEL = "demo-colours"
PORT = 28417
"""The port of the server, unless another program uses it (our choice: neither one that Ray gives to
its workers, 10002 to 19999, nor one that Linux gives to connections, 32768 to 60999)."""
_COLOURS = {
    "red": (214, 40, 40), "orange": (240, 140, 30), "yellow": (234, 179, 8),
    "green": (22, 128, 61), "blue": (29, 78, 216), "purple": (128, 40, 160),
    "brown": (120, 70, 30), "grey": (128, 128, 128), "black": (20, 20, 20),
    "white": (245, 245, 245),
}  # fmt: skip
_FILLED = {"triangle": 0.5, "circle": np.pi / 4, "square": 1.0}
"""For each shape, the share of its bounding box that the shape covers, computed from geometry."""
_DARK, _PALE = 85, 170
"""The background is dark below the first brightness and pale above the second, thirds of 255 (our
choice)."""
_MIN_REGION = 0.005
"""A smaller share of the image is no region (our choice)."""
_MIN_DIFFERENCE = 60
"""A pixel belongs to the shape if a channel (0 to 255) differs from the border of the image by more
than this (our choice: the backgrounds of the demo vary by 55)."""
_MAX_BYTES = 64 << 20
"""The maximum size of a request (our choice)."""


class DemoServer(ThreadingHTTPServer):
    """An HTTP server on loopback, at any free port if `port` is 0. `answered` is the number of
    requests that got a reply."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int) -> None:
        self.answered = 0
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def count(self) -> None:
        with self._lock:
            self.answered += 1

    @contextlib.contextmanager
    def serving(self) -> Iterator[DemoServer]:
        """Answer requests, in threads, until the end of the `with` block."""
        thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()


def at_a_free_port() -> DemoServer:
    """Returns a server at PORT or, if another program uses PORT, at any free port."""
    try:
        return DemoServer(PORT)
    except OSError:
        return DemoServer(0)


class _Handler(BaseHTTPRequestHandler):
    server: DemoServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        if size > _MAX_BYTES:
            self.close_connection = True
            return self._send(413, _error(f"the request is longer than {_MAX_BYTES} bytes"))
        data = self.rfile.read(size)
        if self.path != "/v1/chat/completions":
            return self._send(404, _error(f"there is nothing at {self.path}"))
        try:
            words, image = _question(data)
            reply = _completion(words, described(image))
        except (ValueError, KeyError, TypeError, OSError, Image.DecompressionBombError) as error:
            return self._send(400, _error(f"this is no question about an image: {error}"))
        self.server.count()
        return self._send(200, reply)

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        """Prints nothing, where the base class prints a line for each request."""


def described(image: Image.Image) -> str:
    """Describe an image by its statistics: its size, its background, and the colour, place and
    extent of the one region that differs from the border."""
    pixels = np.asarray(image.convert("RGB"), np.int16)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = np.median(border, axis=0)
    region = (np.abs(pixels - background) > _MIN_DIFFERENCE).any(axis=2)
    size = f"{image.width} by {image.height} pixels"
    light = "pale" if background.mean() > _PALE else "dark" if background.mean() < _DARK else "grey"
    if region.mean() < _MIN_REGION:
        return f"A {light} image of {size}, mostly {_colour(background)}, without a clear region."
    ys, xs = np.nonzero(region)
    filled = len(xs) / ((np.ptp(xs) + 1) * (np.ptp(ys) + 1))
    shape = min(_FILLED, key=lambda name: abs(_FILLED[name] - filled))
    colour, place = _colour(np.median(pixels[region], axis=0)), _place(xs.mean() / image.width)
    return (
        f"A {light} image of {size} with one {colour} region {place}. The region covers "
        f"{region.mean():.0%} of the image and fills {filled:.0%} of its bounding box, as a "
        f"{shape} does."
    )


def _colour(rgb: np.ndarray) -> str:
    return min(_COLOURS, key=lambda name: float(((rgb - _COLOURS[name]) ** 2).sum()))


def _place(x: float) -> str:
    return "on the left" if x < 3 / 8 else "on the right" if x > 5 / 8 else "in the middle"


def _question(data: bytes) -> tuple[int, Image.Image]:
    """Returns the number of words in a request, and its first image. Raises ValueError, KeyError,
    TypeError or OSError if the request has no readable image."""
    parts = [
        part
        for message in json.loads(data)["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
    ]
    words = sum(len(part["text"].split()) for part in parts if part["type"] == "text")
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    if not urls:
        raise ValueError("there is no image")
    try:
        file = base64.b64decode(urls[0].partition(";base64,")[2], validate=True)
    except binascii.Error as error:
        raise ValueError(f"the image is not in base64 ({error})") from None
    return words, Image.open(io.BytesIO(file))


def _completion(words: int, text: str) -> dict[str, Any]:
    """Returns a reply with the given text, as JSON. `words` is the number of words in the request.
    This server counts words as tokens."""
    made = len(text.split())
    usage = {"prompt_tokens": words, "completion_tokens": made, "total_tokens": words + made}
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
    }
    return {"object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}
