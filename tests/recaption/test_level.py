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


def test_an_endpoint_that_refuses_a_trial_keeps_the_requests_that_it_had() -> None:
    limits = Endpoint(32, steady, refuses=True).answer(6000).limits
    assert min(limits[3000:]) == 32


@pytest.mark.parametrize("cap", [1, 2, 3, 5, 7])
def test_the_limit_is_never_over_the_cap(cap: int) -> None:
    level = Level(cap)
    assert level.limit <= cap
    for _ in range(2000):
        answer(level, 1.0)
        assert 1 <= level.limit <= cap


def answer(level: Level, seconds: float, tokens: int = 84) -> None:
    """Send a request while all others that are allowed are in flight, and answer it."""
    sent = level.sent(int(level.limit), 0.0)
    level.answered(sent, seconds, tokens)
    level.ended(sent)


def test_the_number_is_raised_by_what_a_larger_one_gained() -> None:
    """The endpoint has 35.3 slots: 64 requests give 10 % more than 32, which is too little."""
    level, limits = Level(CAP), list[float]()
    for _ in range(400):
        answer(level, max(1.0, level.limit / 35.3))
        limits.append(level.limit)
    assert max(limits) == 64
    assert limits[-1] == 35


@pytest.mark.parametrize("is_certain", [True, False])
def test_a_number_is_measured_again_until_the_result_is_certain(is_certain: bool) -> None:
    """With 8 requests, each reply takes twice as long as with 4."""
    level = Level(CAP)
    while level.limit < 8:
        answer(level, 1.0)
    for number in range(8):
        answer(level, 2.0, 84 if is_certain else (0, 168)[number % 2])
    assert level.limit == (2 if is_certain else 8)


def test_requests_of_a_step_that_has_few_are_not_measured() -> None:
    level = Level(CAP)
    for _ in range(200):
        sent = level.sent(3, 0.0)
        level.answered(sent, 1.0, 100)
        level.ended(sent)
    assert level.limit == 4
