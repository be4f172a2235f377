"""How long a request waits until it is sent again."""

from __future__ import annotations

import hashlib

BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 60.0
"""The wait before the second attempt, which doubles with each further one, and the longest wait
(our choice)."""


def backoff(key: bytes, attempt: int, asked: float | None) -> float:
    """The seconds to wait before the next attempt: at least what the endpoint asked for. The jitter
    comes from the request's key, whose seed is that of the step."""
    jitter = hashlib.blake2b(key + bytes([attempt]), digest_size=4).digest()
    share = 0.5 + int.from_bytes(jitter, "big") / 2**33
    own = share * min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** (attempt - 1))
    return own if asked is None else asked + own * share / 4
