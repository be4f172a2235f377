"""CPU time of a request to a model: `python -m benchmarks.requests`.

A server in a process of its own answers after 50 ms. Questions of 100 words, and images of 1600 x
1200 pixels that are resized to 2**20, beside their decoding, resizing and encoding alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from manifests.media import Media, Reference
from manifests.step import Message, Reply, Request
from recaption.caption.recaption import Recaption
from recaption.client import Client
from recaption.client.images import sent_image
from tests.make import make_image

TEXTS, LONG_RUN, IMAGES, BATCH, CONCURRENT = 5000, 100_000, 400, 512, 64
PIXELS = 1 << 20


class Cost(NamedTuple):
    """Of one request: CPU milliseconds of this process. `rate`: requests a second."""

    cpu_ms: float
    rate: float


def main() -> None:
    with tempfile.TemporaryDirectory() as name, _server(Path(name)) as url:
        base = Path(name)
        images = [_image(base, number) for number in range(8)]
        texts = [_question(number) for number in range(TEXTS)]
        shown = [_question(n, images[n % len(images)]) for n in range(IMAGES)]
        print("texts", _asked(base, url, texts))
        print("texts, all in the journal", _asked(base, url, texts))
        print("images", _asked(base, url, shown))
        print("images, encoded alone", _encoded(base, images))
        for n in range(0, LONG_RUN, LONG_RUN // 4):
            more = [_question(TEXTS + n + k) for k in range(LONG_RUN // 4)]
            cost = _asked(base, url, more)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            print(f"{n + len(more)} texts", cost, f"peak of memory {peak} MiB")


@contextlib.contextmanager
def _server(base: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.recaption.endpoint", str(base / "log")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


def _image(base: Path, number: int) -> Reference:
    (base / f"{number}.jpg").write_bytes(make_image(1600, 1200, number))
    return Reference(f"{number}.jpg")


def _question(number: int, *images: Reference) -> Request:
    words = hashlib.sha256(str(number).encode()).hexdigest()
    return Request((Message("user", (*images, f"{words} {'word ' * 100}")),))


def _asked(base: Path, url: str, requests: list[Request]) -> Cost:
    step = Recaption(model="m", endpoint=url, max_concurrent=CONCURRENT, max_pixels=PIXELS)
    started, cpu = time.monotonic(), time.process_time()
    with contextlib.closing(Client(step, "step recaption", str(base))) as client:
        for start in range(0, len(requests), BATCH):
            block = requests[start : start + BATCH]
            replies = client.ask(block, Media(str(base)), lambda request, reply: None)
            assert all(isinstance(reply, Reply) for reply in replies)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    return Cost(round(1000 * cpu / len(requests), 3), round(len(requests) / seconds))


def _encoded(base: Path, images: list[Reference]) -> Cost:
    media = Media(str(base))
    cpu = time.process_time()
    for n in range(IMAGES // 4):
        ref = images[n % len(images)]
        sent_image(media.read(ref), ref, media, PIXELS)
    cpu = time.process_time() - cpu
    return Cost(round(4000 * cpu / IMAGES, 3), 0)


if __name__ == "__main__":
    main()
