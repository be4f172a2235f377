"""Computes how long to wait before a request is sent again."""

from __future__ import annotations

import hashlib

BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 60.0
"""The longest wait before the second attempt, and before any attempt. The wait doubles with each
further attempt (our choice)."""


def backoff(key: bytes, attempt: int, asked: float | None) -> float:
    """Returns the seconds to wait after the attempt with this number, which starts at 1. If the
    endpoint asked for some seconds, a quarter of the backoff is added to them, so that not all
    requests are sent at once. The random share of the backoff, from 0.5 to 1, is a hash of the
    request's key, so it is the same in every run."""
    jitter = hashlib.blake2b(key + bytes([attempt]), digest_size=4).digest()
    share = 0.5 + int.from_bytes(jitter, "big") / 2**33
    own = share * min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** (attempt - 1))
    return own if asked is None else asked + own / 4
