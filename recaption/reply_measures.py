"""The measures of all steps that ask a model: what became of a record, and what its replies
cost."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from manifests.step import Columns, Reply

REPLY_MEASURES = {
    "status": pa.string(),
    "model": pa.string(),
    "replies": pa.int32(),
    "input_tokens": pa.int32(),
    "output_tokens": pa.int32(),
}
_SUMS = {"replies": "number", "input_tokens": "input_tokens", "output_tokens": "output_tokens"}


def reply_measures(replies: Sequence[tuple[Reply, ...]], status: Sequence[str | None]) -> Columns:
    """Returns the columns of the measures in `REPLY_MEASURES`. replies[i] has the last reply to
    each request about record i. The measure `model` is the model of the first reply in replies[i],
    null if this reply is bad. The measure `replies` also counts the earlier bad replies, which are
    not in replies[i]. The measures of tokens count only the replies in replies[i]."""
    models = [own[0].model if own and own[0].fault is None else None for own in replies]
    about = {"status": pa.array(status, pa.string()), "model": pa.array(models, pa.string())}
    for name, field in _SUMS.items():
        sums = [_sum([getattr(one, field) for one in own]) for own in replies]
        about[name] = pa.array(sums, pa.int32())
    return about


def _sum(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
