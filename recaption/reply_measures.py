"""The measures that all steps with replies have: what became of a record, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from manifests.step import Columns, Reply

REPLY_MEASURES = {
    "status": pa.string(),
    "model": pa.string(),
    "askings": pa.int32(),
    "input_tokens": pa.int32(),
    "output_tokens": pa.int32(),
}


def reply_measures(replies: Sequence[tuple[Reply, ...]], status: Sequence[str | None]) -> Columns:
    """Returns the columns of REPLY_MEASURES. `replies` are those about each row: `model` is that of
    the first one, null if it is bad, and the numbers are sums."""
    models = [own[0].model if own and own[0].fault is None else None for own in replies]
    texts = {"status": pa.array(status, pa.string()), "model": pa.array(models, pa.string())}
    names = ("askings", "input_tokens", "output_tokens")
    sums = {name: [_sum([getattr(one, name) for one in own]) for own in replies] for name in names}
    return {**texts, **{name: pa.array(sums[name], pa.int32()) for name in names}}


def _sum(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
