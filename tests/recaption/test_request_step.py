"""What a request step asks about each row, and which replies its method `answer` gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from manifests.errors import StepError
from manifests.media import Media, Reference
from manifests.record import Builder
from manifests.step import Context, GenerativeStep, Measured, Message, Reply, Request, RowRequests
from manifests.step.request_step import answered_rows
from recaption.client import Client
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, good, refusal, reply

ROWS = 5


def request(text: str) -> Request:
    return Request((Message("user", (text,)),))


class Twice(GenerativeStep):
    """Asks one question about row 0, none about row 1, and an empty tuple, one question or two as a
    tuple about the others."""

    def measures(self) -> dict[str, pa.DataType]:
        return {"replies": pa.string()}

    def requests(self, batch: pa.Table, context: Context) -> list[RowRequests]:
        return [request("a"), None, (), (request("b"),), (request("c"), request("d"))]

    def answer(self, batch: pa.Table, replies: Sequence[Any]) -> Measured:
        return Measured({"replies": pa.array([shown(one) for one in replies], pa.string())})


class Short(Twice):
    """Returns too few requests."""

    def requests(self, batch: pa.Table, context: Context) -> list[RowRequests]:
        return [(request("a"), request("b"), request("c"), request("d"), request("e"))]


def shown(replies: Reply | tuple[Reply, ...] | None) -> str:
    if replies is None:
        return "none"
    return replies.text if isinstance(replies, Reply) else f"({' '.join(r.text for r in replies)})"


def measure(base: Path, endpoint: Endpoint, kind: type[Twice] = Twice) -> Measured:
    step = kind(model=MODEL, endpoint=endpoint.url, max_attempts=2)
    rows = Builder("made", "text")
    for n in range(ROWS):
        rows.add(str(n), str(n)).text("a text")
    client = Client(step, "step twice", str(base))
    try:
        context = Context(Media(str(base)), lambda data: Reference(""), client=client)
        return step.measure(rows.table(), context)
    finally:
        client.close()


def echo(asked: Asked) -> Answer:
    return reply(asked.text.upper())


def test_a_row_gets_its_replies_in_the_form_in_which_it_asked(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = echo
    made = measure(tmp_path, endpoint)
    assert made.columns["replies"].to_pylist() == ["A", "none", "()", "(B)", "(C D)"]
    assert not made.errors
    assert sorted(asked.text for asked in endpoint.asked) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("faults", "later"),
    [
        ({"d": refusal(500, "broken")}, True),
        ({"d": refusal(400, "too long")}, False),
        ({"c": refusal(500, "broken"), "d": refusal(400, "too long")}, False),
    ],
)
def test_a_row_fails_if_one_of_its_requests_fails_and_what_was_paid_is_kept(
    tmp_path: Path, endpoint: Endpoint, faults: dict[str, Answer], later: bool
) -> None:
    endpoint.answer = lambda asked: faults.get(asked.text) or echo(asked)
    made = measure(tmp_path, endpoint)
    assert made.columns["replies"].to_pylist()[:4] == ["A", "none", "()", "(B)"]
    assert made.errors is not None
    assert made.errors.table["kind"].to_pylist() == [None] * 4 + ["ReplyError"]
    assert made.errors.table["later"].to_pylist() == [False] * 4 + [later]
    endpoint.answer = good
    endpoint.asked.clear()
    measure(tmp_path, endpoint)
    assert sorted(asked.text for asked in endpoint.asked) == sorted(faults)


def test_a_row_is_answered_if_all_its_requests_are() -> None:
    a, b, c, d = map(request, "abcd")
    rows = [(a,), (), (b, c), (d,)]
    assert answered_rows(rows, (0, 2, 3)) == (0, 1, 3)
    assert answered_rows(rows, (1, 2)) == (1, 2)
    assert answered_rows(rows, ()) == (1,)


def test_a_step_answers_for_every_row(tmp_path: Path, endpoint: Endpoint) -> None:
    with pytest.raises(StepError, match="returned 1 requests for 5 rows"):
        measure(tmp_path, endpoint, Short)
    assert endpoint.asked == []
