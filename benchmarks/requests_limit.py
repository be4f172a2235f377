"""The number of requests in flight that the client finds: `python -m benchmarks.requests_limit`.

Servers in a process of their own answer C requests at once, each after 0.3 to 1 seconds, with 100
tokens a second. One kind answers more requests with 429, the other queues them. The client that
finds its number, and fixed numbers, ask each server for a while; the server counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from manifests.media import Media
from manifests.step import Message, Request
from recaption.caption.recaption import Recaption
from recaption.client import Client
from recaption.client.level import Sent
from recaption.client.limiter import Limiter

SLOTS, FIXED, CAP = (4, 32, 256), (1, 32, 512), 512
FASTEST, SLOWEST = 0.3, 1.0
SECONDS, FIXED_SECONDS, WARM_SECONDS = 45.0, 15.0, 5.0
SETTLED = 10
"""Replies for each slot until our client is measured; a fixed number is after WARM_SECONDS."""
_BODY = (
    '{"model":"m","choices":[{"finish_reason":"stop","message":{"content":"A reply."}}],'
    '"usage":{"prompt_tokens":100,"completion_tokens":%d}}'
)


class Event(NamedTuple):
    """A request that ended: when, its status, and how many requests were in the server."""

    at: float
    status: int
    inside: int


def main() -> None:
    print("| server | client | share of its throughput | answered 429 | requests in flight |")
    print("|---|---|---|---|---|")
    for kind in ("429", "queue"):
        for slots in SLOTS:
            for fixed in (None, *FIXED):
                print(f"| {kind}, {slots} | {fixed or 'finds it'} | {_row(kind, slots, fixed)} |")


def _row(kind: str, slots: int, fixed: int | None) -> str:
    events = _run(kind, slots, fixed)
    answered = [event.at for event in events if event.status == 200]
    start = answered[SETTLED * slots] if fixed is None else events[0].at + WARM_SECONDS
    late = [event for event in events if event.at >= start]
    replies = sum(event.status == 200 for event in late)
    sustained = slots / ((FASTEST + SLOWEST) / 2) * (late[-1].at - start)
    inside = sum(event.inside for event in late) / len(late)
    return f"{replies / sustained:.0%} | {1 - replies / len(late):.1%} | {inside:.0f}"


def _run(kind: str, slots: int, fixed: int | None) -> list[Event]:
    command = [sys.executable, "-m", "benchmarks.requests_limit", kind, str(slots)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        asking = multiprocessing.Process(target=_ask, args=(url, fixed))
        asking.start()
        time.sleep(SECONDS if fixed is None else FIXED_SECONDS)
        server.send_signal(signal.SIGTERM)
        events = [Event(*one) for one in json.loads(server.stdout.read())]
        asking.kill()
        asking.join()
    return events


class Fixed(Limiter):
    """Always lets the same number of requests be in flight."""

    @property
    def limit(self) -> int:
        return self.fixed

    def busy(self, sent: Sent) -> None:
        pass

    fixed = 1


def _ask(url: str, fixed: int | None) -> None:
    """Ask until this process is ended."""
    with tempfile.TemporaryDirectory() as base:
        step = Recaption(model="m", endpoint=url, max_concurrent=CAP)
        client = Client(step, "step recaption", base)
        if fixed:
            client._limiter = Fixed(CAP)
            Fixed.fixed = fixed
        requests = [Request((Message("user", (f"question {n}",)),)) for n in range(100_000)]
        client.ask(requests, Media(base), lambda request, reply: None)


class Server(asyncio.Protocol):
    """Answers HTTP requests. All connections share `slots` and `events`."""

    slots: asyncio.Semaphore
    refuses: bool
    inside = 0
    events: list[Event]
    tasks: ClassVar[set[asyncio.Task[None]]] = set()
    chance = random.Random(1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if len(body) >= length:
            self.data = b""
            if Server.refuses and Server.slots.locked():
                self.answer(429, '{"error":{"message":"too many requests"}}')
            else:
                task = asyncio.get_running_loop().create_task(self.work())
                Server.tasks.add(task)
                task.add_done_callback(Server.tasks.discard)

    async def work(self) -> None:
        Server.inside += 1
        try:
            async with Server.slots:
                seconds = Server.chance.uniform(FASTEST, SLOWEST)
                await asyncio.sleep(seconds)
        finally:
            Server.inside -= 1
        self.answer(200, _BODY % (100 * seconds))

    def answer(self, status: int, body: str) -> None:
        Server.events.append(Event(time.monotonic(), status, Server.inside + 1))
        head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write((head + body).encode())


async def _serve(kind: str, slots: int) -> None:
    Server.slots, Server.refuses = asyncio.Semaphore(slots), kind == "429"
    Server.events = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=1024)
    ended = asyncio.Event()
    end: Callable[[], None] = ended.set
    loop.add_signal_handler(signal.SIGTERM, end)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await ended.wait()
    print(json.dumps(Server.events), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        if len(sys.argv) > 1:
            asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
        else:
            main()
