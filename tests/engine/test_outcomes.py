"""Applying the answer of a step: columns are added, rows removed, and every row accounted for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curate.engine.outcomes import Answer, apply_answer, dropped_schema, expand
from manifests.run.ledger import Account
from manifests.step import RowErrors

BATCH = pa.table(
    {
        "id": ["a", "b", "c", "d"],
        "source": ["made"] * 4,
        "origin": ["f#0", "f#1", "f#2", "f#3"],
        "language": ["en", "de", "en", None],
    }
)


def answer(drop: list[str | None], error: list[str | None], **columns: pa.Array) -> Answer:
    return Answer(columns, pa.array(drop, pa.string()), RowErrors.where(error).table)


def test_rows_are_kept_dropped_or_quarantined_and_an_error_wins() -> None:
    drop, error = [None, "short", "short", None], [None, None, "broken", None]
    given = answer(drop, error, **{"words.count": pa.array([9, 1, 2, 8])})
    schema = dropped_schema(BATCH.append_column("words.count", pa.array([0] * 4)).schema)
    result = apply_answer("words", BATCH, given, schema)
    assert result.annotated["words.count"].to_pylist() == [9, 1, 2, 8]
    assert result.kept["id"].to_pylist() == ["a", "d"]
    assert result.dropped.to_pylist() == [
        {"id": "b", "source": "made", "origin": "f#1", "step": "words", "reason": "short",
         "words.count": 1}
    ]  # fmt: skip
    assert result.quarantined.to_pylist() == [
        {"id": "c", "source": "made", "origin": "f#2", "step": "words", "error": "RowError",
         "message": "broken", "later": False, "rows": 1}
    ]  # fmt: skip
    assert result.account == Account(
        step="words", rows_in=4, kept=2, dropped={"short": 1}, quarantined={"RowError": 1}
    )


def test_rows_outside_a_mask_get_nulls_and_keep_what_a_step_rewrites() -> None:
    mask = np.array([False, True, False, True])
    columns = {"words.count": pa.array([1, 2]), "language": pa.array(["fr", "it"])}
    expanded = expand(answer([None, "short"], ["broken", None], **columns), mask, BATCH)
    assert {n: c.to_pylist() for n, c in expanded.columns.items()} == {
        "words.count": [None, 1, None, 2],
        "language": ["en", "fr", "en", "it"],
    }
    assert expanded.drop.to_pylist() == [None, None, None, "short"]
    assert expanded.errors["message"].to_pylist() == [None, "broken", None, None]
