"""Steps for the tests of the contract: each writes down what the engine does with it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import record
from manifests.media import Reference
from manifests.step import (
    Bound,
    Columns,
    Context,
    Corpus,
    CorpusStep,
    Location,
    ModelIdentity,
    Outcome,
    Reshaped,
    ReshapeStep,
    Resources,
    RowStep,
    Worker,
    Workspace,
    reasons,
)


def note(folder: str, line: str) -> None:
    """Append a line to a log that all processes share."""
    with open(Path(folder, "log"), "a") as log:
        log.write(f"{line}\n")


def log_lines(folder: Path) -> list[str]:
    path = folder / "log"
    return path.read_text().splitlines() if path.exists() else []


class LengthModel:
    """A model that counts characters; says when it is loaded and closed."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        note(folder, f"load {os.getpid()}")

    def __call__(self, text: str) -> int:
        return len(text)

    def close(self) -> None:
        note(self.folder, f"close {os.getpid()}")


class Lengths(RowStep):
    """Measure the length of a text with a model, and drop short ones."""

    costs: ClassVar[bool] = True

    folder: Annotated[str, Location()]
    rows: Annotated[int, Location()] = 10
    weights: str = "a"
    min: Annotated[int, Bound()] = 0

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int64(), "seed": pa.uint64()}

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        return (ModelIdentity("lengths", self.weights),)

    def batch_rows(self) -> int:
        return self.rows

    def load(self, worker: Worker) -> LengthModel:
        return LengthModel(self.folder)

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        assert self.min == 0, "a bound has its default while measuring"
        assert batch.column_names == ["content"]
        note(self.folder, f"measure {batch.num_rows}")
        texts = record.texts(batch["content"]).to_pylist()
        counts = [context.model(text) for text in texts]
        seed = pa.repeat(pa.scalar(context.seed, pa.uint64()), len(texts))
        return {"count": pa.array(counts, pa.int64()), "seed": seed}

    def decide(self, measured: pa.Table) -> pa.Array:
        short = pc.less(measured["count"], self.min)
        return reasons(measured.num_rows, (short, "short"))


class Halves(ReshapeStep):
    """Cut a text in two; drop texts of one word; store each half as bytes too."""

    uses_seed: ClassVar[bool] = True
    stores_bytes: ClassVar[bool] = True

    lose: bool = False

    def reads(self) -> tuple[str, ...]:
        return ()

    def measures(self) -> dict[str, pa.DataType]:
        return {"half": pa.int64()}

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        parents, rows, halves = [], [], []
        drop: list[str | None] = [None] * batch.num_rows
        for number, row in enumerate(batch.select(record.SCHEMA.names).to_pylist()):
            words = row["content"][0]["text"].split()
            if len(words) < 2:
                drop[number] = None if self.lose else "one word"
                continue
            if "poison" in words:
                raise ValueError("poison")
            for half, part in enumerate((words[: len(words) // 2], words[len(words) // 2 :])):
                text = " ".join(part)
                blob = context.blobs(text.encode())
                media = [{"kind": "image", **blob._asdict()}]
                content = [{**row["content"][0], "text": text}]
                ids = record.child_ids([row["id"]], [half])
                rows.append({**row, "id": ids[0].as_py(), "content": content, "media": media})
                parents.append(number)
                halves.append(half)
        made = pa.Table.from_pylist(rows, schema=record.SCHEMA)
        measures = {"half": pa.array(halves, pa.int64())}
        return Reshaped(made, np.array(parents, np.int64), measures, pa.array(drop, pa.string()))


class LongerThanMean(CorpusStep):
    """Drop texts that are shorter than the mean of the corpus."""

    folder: Annotated[str, Location()]

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"mean": pa.float64()}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> float:
        note(self.folder, f"fit {os.getpid()}")
        lengths = [length for _, found in workspace.map(_Lengths(corpus), corpus.parts)
                   for length in found]  # fmt: skip
        return float(np.mean(lengths))

    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        assert context.part is not None
        note(self.folder, f"apply {context.part.name} {os.getpid()}")
        lengths = pc.utf8_length(record.texts(rows["content"]))
        mean = pa.repeat(fit, rows.num_rows)
        return Outcome({"mean": mean}, reasons(rows.num_rows, (pc.less(lengths, fit), "short")))


class _Lengths:
    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def __call__(self, part: Any) -> list[int]:
        texts = record.texts(self.corpus.read(part)["content"])
        return [len(text) for text in texts.to_pylist()]


class WantsGpu(Lengths):
    """As `Lengths`, on a GPU."""

    def resources(self) -> Resources:
        return Resources(gpus=1)


class Crops(ReshapeStep):
    """Make a record of the left half of each image; store the half as bytes."""

    stores_bytes: ClassVar[bool] = True

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        rows = batch.to_pylist()
        for row in rows:
            [one] = row["media"]
            image = context.media.image(Reference(one["uri"], one["offset"], one["length"]))
            data = io.BytesIO()
            image.crop((0, 0, image.width // 2, image.height)).save(data, "PNG")
            row["media"] = [
                {**one, **context.blobs(data.getvalue())._asdict(), "mime": "image/png"}
            ]
        made = pa.Table.from_pylist(rows, schema=record.SCHEMA)
        return Reshaped(made, np.arange(batch.num_rows))


class Stacks(RowStep):
    """Fail if it is asked about no rows."""

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        texts = record.texts(batch["content"]).to_pylist()
        return {"count": pa.array(np.stack([len(text) for text in texts]), pa.int64())}


class Translates(RowStep):
    """Set the language to German."""

    costs: ClassVar[bool] = True
    rewrites: ClassVar[tuple[str, ...]] = ("language",)

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {"language": pa.repeat("de", batch.num_rows)}
