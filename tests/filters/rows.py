"""Records for the tests of filters, the answer of a step as lists, and real texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from manifests import record
from manifests.media import Media
from manifests.step import Outcome, RowStep

NO_MEDIA = Media()


def text_records(*texts: str | None) -> pa.Table:
    """Caption records: an image, and a text unless it is None."""
    keys = [str(n) for n in range(len(texts))]
    names = pa.array(keys, pa.string())
    return record.captions(
        "made", keys, names, pa.array(texts, pa.string()), record.ImageColumns(uri=names)
    )


def media_records(*media: list[dict[str, Any]]) -> pa.Table:
    """Records of media alone: for each record the fields of its media that are known."""
    rows = [{"key": str(n), "content": [], "media": m} for n, m in enumerate(media)]
    return record.from_rows(rows, "made", "interleaved")


def image_records(*sizes: list[tuple[int | None, int | None]]) -> pa.Table:
    """Records of images, given as widths and heights."""
    return media_records(
        *([{"kind": "image", "uri": "x", "width": w, "height": h} for w, h in s] for s in sizes)
    )


def answers(step: RowStep, batch: pa.Table, media: Media = NO_MEDIA) -> dict[str, list[Any]]:
    """The columns that a step answers, `drop` and `error`, as lists; types must be as declared."""
    outcome: Outcome = step(batch, media)
    for name, kind in step.measures.items():
        assert outcome.columns[name].type == kind
    assert set(outcome.columns) == {*step.measures, *step.rewrites}
    answer = {name: column.to_pylist() for name, column in outcome.columns.items()}
    for name, verdict in (("drop", outcome.drop), ("error", outcome.error)):
        if verdict is not None:
            assert verdict.type == pa.string()
        answer[name] = [None] * batch.num_rows if verdict is None else verdict.to_pylist()
    assert {len(column) for column in answer.values()} == {batch.num_rows}
    return answer


def real_captions(real_data: Path) -> list[str]:
    """Alternative texts and captions of textbook figures."""
    files = sorted((real_data / "captions" / "openstax").glob("*.jsonl"))
    rows = [json.loads(line) for f in files for line in f.read_bytes().splitlines()]
    return [row[field] for row in rows for field in ("alt", "caption")]


def naughty_strings(real_data: Path) -> list[str]:
    strings: list[str] = json.loads((real_data / "hostile" / "blns" / "blns.json").read_text())
    return strings
