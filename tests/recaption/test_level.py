"""The number of requests in flight that is found, against endpoints that are simulated: only their
time is not real."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import pytest

from recaption.client.level import Level, Sent

CAP = 512
Chance = random.Random
Work = Callable[[Chance], tuple[int, float]]
"""The tokens of a reply, and the seconds that it takes."""


class Run(NamedTuple):
    """The limit after each reply, the replies a second, and the refusals, of the second half."""

    limits: list[int]
    rate: float
    refused: float


class Endpoint:
    """Works on `slots` requests at once; refuses the others, or queues them."""

    def __init__(self, slots: int, work: Work, refuses: bool = False) -> None:
        self.slots, self.work, self.refuses = slots, work, refuses
        self.level, self.now, self.chance = Level(CAP), 0.0, random.Random(1)
        self.events: list[tuple[float, int, str, Sent, int]] = []
        self.queue: deque[Sent] = deque()
        self.busy = self.in_flight = self.refused = 0
        self.order = itertools.count()

    def answer(self, replies: int) -> Run:
        limits, times, late = list[int](), list[float](), 0
        while len(times) < replies:
            while self.in_flight < int(self.level.limit):
                self.in_flight += 1
                self.arrive(self.level.sent(self.in_flight, self.now))
            self.now, _, what, sent, tokens = heapq.heappop(self.events)
            self.in_flight -= 1
            if what == "refused":
                self.refused += 1
                self.level.busy(sent, self.now)
            else:
                self.busy -= 1
                self.level.answered(sent, self.now, tokens)
                limits.append(int(self.level.limit))
                times.append(self.now)
                late = late if len(times) > replies // 2 else self.refused
                if self.queue and self.busy < self.slots:
                    self.begin(self.queue.popleft())
            self.level.ended(sent)
        half = replies // 2
        rate = (replies - 1 - half) / (times[-1] - times[half])
        return Run(limits, rate, (self.refused - late) / (replies - half))

    def arrive(self, sent: Sent) -> None:
        if self.busy < self.slots:
            self.begin(sent)
        elif self.refuses:
            heapq.heappush(self.events, (self.now + 0.01, next(self.order), "refused", sent, 0))
        else:
            self.queue.append(sent)

    def begin(self, sent: Sent) -> None:
        self.busy += 1
        tokens, seconds = self.work(self.chance)
        event = (self.now + seconds, next(self.order), "answered", sent, tokens)
        heapq.heappush(self.events, event)


def steady(chance: Chance) -> tuple[int, float]:
    seconds = chance.uniform(0.3, 1.0)
    return int(100 * seconds), seconds


def very_different(chance: Chance) -> tuple[int, float]:
    tokens = min(4000, max(5, int(chance.lognormvariate(4.6, 0.8))))
    return tokens, 0.1 + tokens * 0.01


@pytest.mark.parametrize("slots", [3, 4, 32, 100, 256])
@pytest.mark.parametrize("work", [steady, very_different])
def test_a_queue_is_found_by_its_latency(slots: int, work: Work) -> None:
    run = Endpoint(slots, work).answer(40 * slots + 400)
    assert run.rate >= 0.85 * slots * Endpoint(1, work).answer(2000).rate
    assert run.limits[-1] <= 2 * slots


@pytest.mark.parametrize("slots", [4, 32, 256])
@pytest.mark.parametrize("work", [steady, very_different])
def test_an_endpoint_that_refuses_is_used_and_rarely_refuses(slots: int, work: Work) -> None:
    run = Endpoint(slots, work, refuses=True).answer(20 * slots)
    assert run.rate >= 0.85 * slots * Endpoint(1, work).answer(2000).rate
    assert run.refused < (0.05 if slots == 4 else 0.02)


def test_longer_replies_are_no_queue() -> None:
    def longer(chance: Chance) -> tuple[int, float]:
        made = next(number)
        return 10 + made // 10, (10 + made // 10) * 0.01

    number = itertools.count()
    assert Endpoint(CAP, longer).answer(5000).limits[-1] >= 0.8 * CAP


def test_an_endpoint_with_more_slots_later_gets_more_requests() -> None:
    for refuses in (False, True):
        endpoint = Endpoint(4, steady, refuses)
        assert endpoint.answer(1000).limits[-1] <= 6
        endpoint.slots = 256
        assert endpoint.answer(20_000).limits[-1] >= 200


def test_an_endpoint_with_fewer_slots_later_gets_fewer_requests() -> None:
    for refuses in (False, True):
        endpoint = Endpoint(64, steady, refuses)
        assert endpoint.answer(2000).limits[-1] >= 60
        endpoint.slots = 8
        assert endpoint.answer(20_000).limits[-1] <= 12
