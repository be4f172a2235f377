"""A line over the limit costs itself, in every reader of lines: the lines after it are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate import recipe
from manifests.media import Limits
from tests.make import read_all

LONG = "word " * 100
READERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "jsonl": ({"reader": "table", "text": "t"}, "", '{"t": "TEXT"}'),
    "csv": ({"reader": "table", "text": "t"}, "t,n\n", "TEXT,1"),
    "quoted csv": ({"reader": "table", "text": "t"}, "t,n\n", '"TEXT",1'),
    "tsv": ({"reader": "table", "text": "t", "quotes": "none"}, "t\tn\n", "TEXT\t1"),
    "llava": ({"reader": "llava"}, "", json.dumps(
        {"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "TEXT"}]}
    )),
}  # fmt: skip
SUFFIXES = {"jsonl": "jsonl", "llava": "jsonl", "tsv": "tsv"}


@pytest.mark.parametrize("name", READERS)
def test_reading_goes_on_after_a_line_over_the_limit(tmp_path: Path, name: str) -> None:
    source, header, line = READERS[name]
    texts = ["first", LONG, "third", LONG, "last"]
    path = tmp_path / f"a.{SUFFIXES.get(name, 'csv')}"
    path.write_text(header + "\n".join(line.replace("TEXT", text) for text in texts))
    [reader] = recipe.build(
        {"name": "test", "sources": [{"name": "s", "path": path.name, **source}]}
    )[1]
    found = read_all(reader, str(tmp_path), Limits(max_row_bytes=300))
    failures = [failure for batch in found for failure in batch.failures]
    assert sum(batch.records.num_rows for batch in found) == 3
    assert [failure.units for failure in failures] == [1, 1]
    assert all("more than the limit of 300" in f.message for f in failures)
    assert all("media.max_row_bytes" in f.message for f in failures)
