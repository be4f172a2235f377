"""The wait before a request is sent again."""

from __future__ import annotations

import pytest

from recaption.client.waits import BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, backoff

KEYS = [bytes([n]) * 16 for n in range(100)]


@pytest.mark.parametrize("attempt", [1, 2, 5, 8, 64])
def test_the_wait_doubles_up_to_a_limit(attempt: int) -> None:
    longest = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2 ** (attempt - 1))
    waits = [backoff(key, attempt, None) for key in KEYS]
    assert 0.5 * longest <= min(waits) < 0.55 * longest
    assert 0.95 * longest < max(waits) <= longest
    assert waits == [backoff(key, attempt, None) for key in KEYS]


def test_attempts_at_one_request_have_different_shares() -> None:
    assert len({backoff(KEYS[0], attempt, None) for attempt in range(10, 20)}) == 10


def test_the_wait_is_at_least_what_the_endpoint_asked_for() -> None:
    waits = [backoff(key, 3, 7.0) for key in KEYS]
    assert 7.0 + BACKOFF_SECONDS / 2 <= min(waits) < max(waits) <= 7.0 + BACKOFF_SECONDS
