"""A server that answers, for complete runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from recaption.client import waits
from tests.recaption.endpoint import Endpoint


@pytest.fixture
def without_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries again soon after a failure."""
    monkeypatch.setattr(waits, "BACKOFF_SECONDS", 0.02)


@pytest.fixture
def endpoint(without_long_waits: None) -> Iterator[Endpoint]:
    """A server that answers well; requests that fail are tried again soon."""
    with Endpoint().serving() as serving:
        yield serving
