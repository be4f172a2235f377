"""The share of requests in flight over small parts: `python -m benchmarks.requests_parts`.

A run asks about 20 parts of 100 captions with images, at most 64 requests at once. The server
answers after 0.2 to 0.8 seconds, and counts every 20 ms how many requests it works on.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from pathlib import Path

from curate.engine.passes.measure import MeasurePart
from tests.recaption.endpoint import Answer, Asked, Endpoint, good
from tests.recaption.recaption_runs import run, write

ROWS, PARTS, CAP, FASTEST, SLOWEST = 2000, 20, 64, 0.2, 0.8
SETTLED = 600
"""Requests until the number in flight has grown from its start, and is measured."""


def main() -> None:
    print(f"asked ahead: {_share():.0%} of {CAP} requests are in flight on average")
    MeasurePart.rows_ahead = property(lambda part: 0)  # type: ignore[assignment,method-assign]
    print(f"one part after the other: {_share():.0%}")


def _share() -> float:
    chance = random.Random(1)

    def answer(asked: Asked) -> Answer:
        time.sleep(chance.uniform(FASTEST, SLOWEST))
        return good(asked)

    with tempfile.TemporaryDirectory() as name, Endpoint(answer).serving() as endpoint:
        write(Path(name), [f"caption {number}" for number in range(ROWS)], PARTS)
        counts, ended = list[int](), threading.Event()

        def count() -> None:
            while not ended.wait(0.02):
                if len(endpoint.asked) >= SETTLED and (endpoint.busy or len(endpoint.asked) < ROWS):
                    counts.append(endpoint.busy)

        counting = threading.Thread(target=count)
        counting.start()
        run(Path(name), endpoint, max_concurrent=CAP)
        ended.set()
        counting.join()
    return sum(counts) / len(counts) / CAP


if __name__ == "__main__":
    main()
