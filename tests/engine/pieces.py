"""Steps that only tests need, named in recipes as `tests.engine.pieces:Class`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa

from manifests import record
from manifests.media import Media
from manifests.step import (
    Corpus,
    CorpusStep,
    Outcome,
    Part,
    ReshapeStep,
    RowStep,
    Workspace,
    reasons,
)


class Slow(RowStep):
    """Take a while for every batch, so that a test can kill the run meanwhile."""

    milliseconds: int = 20

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        time.sleep(self.milliseconds / 1000)
        return Outcome({})


class Twice(ReshapeStep):
    """Make two records of each: itself and a copy. Raises on records whose text contains `word`."""

    word: str = "poison"

    def __call__(self, batch: pa.Table, media: Media) -> pa.Table:
        if any(self.word in text for text in record.texts(batch["content"]).to_pylist()):
            raise ValueError(f"cannot copy a text with {self.word!r}")
        copies = record.child_ids(batch["id"].to_pylist(), [1] * batch.num_rows)
        return pa.concat_tables([batch, batch.set_column(0, "id", copies)])


class Longest(CorpusStep):
    """Keep the records whose text is as long as the longest of the corpus."""

    measures: ClassVar[dict[str, pa.DataType]] = {"longest": pa.int64()}

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def decide(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> Iterator[tuple[Part, Outcome]]:
        lengths = {part: self._lengths(corpus.read(part)) for part in corpus.parts}
        longest = max((int(n.max()) for n in lengths.values() if len(n)), default=0)
        for part, own in lengths.items():
            column = pa.array(np.full(len(own), longest))
            yield part, Outcome({"longest": column}, reasons(len(own), (own < longest, "shorter")))

    def _lengths(self, table: pa.Table) -> np.ndarray:
        return np.array([len(text) for text in record.texts(table["content"]).to_pylist()], int)


class Broken(RowStep):
    """Raise on records whose text contains `word`; keep all others."""

    word: str = "poison"

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        for text in record.texts(batch["content"]).to_pylist():
            if self.word in text:
                raise ValueError(f"cannot judge {text!r}")
        return Outcome({})


class Crash(RowStep):
    """Delete the marker file and end the worker's process; without that file do nothing."""

    marker: str

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        if os.path.exists(self.marker):
            os.remove(self.marker)
            os._exit(1)
        return Outcome({})


class Misaligned(RowStep):
    """Give an outcome with one row too few."""

    measures: ClassVar[dict[str, pa.DataType]] = {"count": pa.int64()}

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        return Outcome({"count": pa.array(range(batch.num_rows - 1))})


class Dies(RowStep):
    """End the worker's process every time."""

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        os._exit(1)


class Embed(RowStep):
    """Measure what a record's `meta` gives as `vector`, `nearest` and `cluster`."""

    measures: ClassVar[dict[str, pa.DataType]] = {
        "vector": pa.list_(pa.float32()),
        "nearest": pa.list_(pa.int32()),
        "cluster": pa.int32(),
    }

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        known = [json.loads(meta or "{}") for meta in batch["meta"].to_pylist()]
        columns = {
            name: pa.array([one.get(name) for one in known], kind)
            for name, kind in self.measures.items()
        }
        return Outcome(columns)


class Score(RowStep):
    """Measure the number that a record's `meta` gives as `score`."""

    measures: ClassVar[dict[str, pa.DataType]] = {"value": pa.float64()}

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        known = [json.loads(meta or "{}").get("score") for meta in batch["meta"].to_pylist()]
        return Outcome({"value": pa.array(known, pa.float64())})
