"""Steps that only tests need, named in recipes as `tests.engine.pieces:Class`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine import checkpoints
from manifests import record
from manifests.run import lock
from manifests.step import (
    Bound,
    Columns,
    Context,
    Corpus,
    CorpusStep,
    Location,
    Outcome,
    Reshaped,
    ReshapeStep,
    RowStep,
    Worker,
    Workspace,
    reasons,
)
from tests.make import make_image


class Slow(RowStep):
    """Take a while for every batch, so that a test can kill the run meanwhile."""

    milliseconds: int = 20

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        time.sleep(self.milliseconds / 1000)
        return {}


class TakenOver(RowStep):
    """Act as another run that takes over the folder `folder` of the run at the first record."""

    folder: str

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        other = lock.Holder.this().model_copy(update={"pid": 1})
        (Path(self.folder) / lock.NAME).write_text(other.model_dump_json())
        return {}


class SlowModel(RowStep):
    """Measure with a slow model, in small batches, with frequent checkpoints; store bytes."""

    costs: ClassVar[bool] = True
    stores_bytes: ClassVar[bool] = True
    rewrites: ClassVar[tuple[str, ...]] = ("media",)

    milliseconds: int = 20
    min: Annotated[int, Bound()] = 0

    def batch_rows(self) -> int:
        return 5

    def reads(self) -> tuple[str, ...]:
        return ("id", "content", "media")

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int64()}

    def load(self, worker: Worker) -> float:
        checkpoints.SECONDS = 0.1
        return self.milliseconds / 1000

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        time.sleep(context.model)
        media = batch["media"].to_pylist()
        for key, one in zip(batch["id"].to_pylist(), media, strict=True):
            stored = context.blobs(make_image(24, 24, int(key[:4], 16), "PNG"))
            one[:] = [{**m, **stored._asdict(), "mime": "image/png"} for m in one]
        counts = [len(text) for text in record.texts(batch["content"]).to_pylist()]
        return {
            "count": pa.array(counts, pa.int64()),
            "media": pa.array(media, record.SCHEMA.field("media").type),
        }

    def decide(self, measured: pa.Table) -> pa.Array:
        return reasons(measured.num_rows, (pc.less(measured["count"], self.min), "short"))


class Twice(ReshapeStep):
    """Make two records of each: itself and a copy. Raises on records whose text contains `word`."""

    word: str = "poison"

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        if any(self.word in text for text in record.texts(batch["content"]).to_pylist()):
            raise ValueError(f"cannot copy a text with {self.word!r}")
        copies = record.child_ids(batch["id"].to_pylist(), [1] * batch.num_rows)
        rows = pa.concat_tables([batch, batch.set_column(0, "id", copies)])
        return Reshaped(rows, np.tile(np.arange(batch.num_rows), 2))


class Longest(CorpusStep):
    """Keep the records whose text is as long as the longest of the corpus."""

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"longest": pa.int64()}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> int:
        return max((int(n) for p in corpus.parts for n in self._lengths(corpus.read(p))), default=0)

    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        shorter = self._lengths(rows) < fit
        longest = pa.array(np.full(rows.num_rows, fit), pa.int64())
        return Outcome({"longest": longest}, reasons(rows.num_rows, (shorter, "shorter")))

    def _lengths(self, table: pa.Table) -> np.ndarray:
        return np.array([len(text) for text in record.texts(table["content"]).to_pylist()], int)


class Broken(RowStep):
    """Raise on records whose text contains `word`; keep all others."""

    word: str = "poison"

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        for text in record.texts(batch["content"]).to_pylist():
            if self.word in text:
                raise ValueError(f"cannot judge {text!r}")
        return {}


class Crash(RowStep):
    """Delete the marker file and end the worker's process; without that file do nothing."""

    marker: Annotated[str, Location()]

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        if os.path.exists(self.marker):
            os.remove(self.marker)
            os._exit(1)
        return {}


class Misaligned(RowStep):
    """Give an answer with one row too few."""

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {"count": pa.array(range(batch.num_rows - 1))}


class Dies(RowStep):
    """End the worker's process every time."""

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        os._exit(1)


class Embed(RowStep):
    """Measure what a record's `meta` gives as `vector`, `nearest` and `cluster`."""

    def reads(self) -> tuple[str, ...]:
        return ("meta",)

    def measures(self) -> dict[str, pa.DataType]:
        return {
            "vector": pa.list_(pa.float32()),
            "nearest": pa.list_(pa.int32()),
            "cluster": pa.int32(),
        }

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        known = [json.loads(meta or "{}") for meta in batch["meta"].to_pylist()]
        return {
            name: pa.array([one.get(name) for one in known], kind)
            for name, kind in self.measures().items()
        }


class Score(RowStep):
    """Measure the number that a record's `meta` gives as `score`."""

    def reads(self) -> tuple[str, ...]:
        return ("meta",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"value": pa.float64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        known = [json.loads(meta or "{}").get("score") for meta in batch["meta"].to_pylist()]
        return {"value": pa.array(known, pa.float64())}
