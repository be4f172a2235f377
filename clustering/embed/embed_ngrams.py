"""The step `embed_ngrams`: vectors of texts that need no model, in any language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt

from clustering.embed.embedder import Vectors
from clustering.embed.half import halves, vector_type
from clustering.embed.ngrams import BUCKETS, Grams, fit_projection, grams, project
from manifests import record, storage
from manifests.errors import StepError
from manifests.step import (
    Context,
    Corpus,
    CorpusStep,
    Outcome,
    Part,
    RowErrors,
    TaskResult,
    Workspace,
)
from manifests.storage import parts

BLOCK_ROWS = 4096
"""The number of texts whose n-grams are in memory at once (our choice)."""
_GRAMS = pa.schema([("key", pa.uint64()), ("buckets", pa.list_(pa.int32()))])


class EmbedNgrams(CorpusStep):
    """Embed the text of each record by its n-grams of characters: texts that share rare n-grams get
    similar vectors. It needs no model, and works in all languages and scripts.

    The vectors are a latent semantic analysis (Deerwester et al. 1990): the pairs and triples of
    characters of a text, weighted by how rare they are, are reduced to `width` numbers by a
    truncated singular value decomposition. The decomposition is fitted on a random sample of the
    corpus, about `sample` texts. `vector` has length 1, in float16. It is null for a record without
    text, or whose text has no n-gram of the sample. The text of a record is all its text segments,
    joined by newlines; capitals do not matter.

    These vectors find texts that are written alike. They do not know that two different words mean
    the same: for that, use `embed: {on: text}` with a model.

        - embed_ngrams
        - duplicates: {by: semantic, embedding: embed_ngrams.vector, threshold: 0.8}
    """

    uses_seed: ClassVar[bool] = True

    width: PositiveInt = Field(256, le=1024, description="number of values in a vector")
    sample: PositiveInt = Field(
        16_384, le=1 << 18, description="about how many texts the decomposition is fitted on"
    )
    max_chars: PositiveInt = Field(
        2000, le=100_000, description="number of characters after which a text is cut"
    )

    def reads(self) -> tuple[str, ...]:
        return ("id", "content")

    def measures(self) -> dict[str, pa.DataType]:
        return {"vector": vector_type(self.width)}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> str:
        """Returns the path of the fitted projection; "" if no record has a text."""
        texts = sum(found for _, found in workspace.map(CountTexts(corpus), corpus.parts))
        if not texts:
            return ""
        limit = record.key_limit(self.sample, texts)
        write = WriteGrams(corpus, seed, limit, self.max_chars)
        folder, commits = workspace.phase("sample", write, corpus.parts)
        if not sum(commit.rows for commit in commits):
            raise StepError(
                f"none of {texts} texts was drawn for the sample of about {self.sample} texts",
                "step embed_ngrams",
                "Set a larger sample.",
            )
        names = tuple(part.name for part in corpus.parts)
        fitting = FitProjection(folder, names, self.width, seed)
        fitted, _ = workspace.phase("projection", fitting, [Whole()])
        return storage.join(fitted, Whole().name + ".arrow")

    def apply(self, rows: pa.Table, fit: str, context: Context) -> Outcome:
        vectors = np.zeros((rows.num_rows, self.width), np.float32)
        present = np.zeros(rows.num_rows, bool)
        if fit:
            flat = record.one_chunk(parts.read_columns(fit)["vector"]).flatten()
            projection = np.asarray(flat).reshape(BUCKETS, self.width)
            for block in _blocks(record.texts(rows["content"])):
                found = grams(block.texts, self.max_chars)
                end = block.start + len(block.texts)
                one = project(found, projection)
                vectors[block.start : end], present[block.start : end] = one
        made = halves(Vectors(vectors, present, RowErrors(rows.num_rows)))
        return Outcome(made.columns, errors=made.errors)


class Whole(NamedTuple):
    """The one task of the phase that fits the projection."""

    name: str = "whole"


class _Block(NamedTuple):
    """Texts, and the row of the first one."""

    start: int
    texts: pa.Array


def _blocks(texts: pa.Array) -> Iterator[_Block]:
    for start in range(0, len(texts), BLOCK_ROWS):
        yield _Block(start, texts.slice(start, BLOCK_ROWS))


@dataclass(frozen=True)
class CountTexts:
    """A task: counts the records of a part that have a text."""

    corpus: Corpus

    def __call__(self, part: Part) -> int:
        texts = record.texts(self.corpus.read(part, ("content",))["content"])
        return int(pc.sum(_has_text(texts)).as_py() or 0)


@dataclass(frozen=True)
class WriteGrams:
    """A task: writes the n-grams of those texts of a part whose records have a random key below
    `limit`."""

    corpus: Corpus
    seed: int
    limit: int
    max_chars: int

    def __call__(self, part: Part, folder: str) -> TaskResult:
        table = self.corpus.read(part)
        keys, texts = record.random_keys(table["id"], self.seed), record.texts(table["content"])
        chosen = np.asarray(_has_text(texts))
        if self.limit < 2**64:
            chosen &= keys < np.uint64(self.limit)
        rows, uri = np.flatnonzero(chosen), storage.join(folder, part.name + ".arrow")
        with parts.writing(uri, _GRAMS, durable=False) as file:
            for block in _blocks(texts.take(pa.array(rows))):
                found = grams(block.texts, self.max_chars)
                own = pa.array(keys[rows[block.start : block.start + len(block.texts)]])
                lists = pa.ListArray.from_arrays(
                    pa.array(found.offsets.astype(np.int32)), pa.array(found.buckets)
                )
                file.write(pa.table([own, lists], schema=_GRAMS))
        return TaskResult([file.entry], {})


@dataclass(frozen=True)
class FitProjection:
    """A task: fits the projection to the whole sample, in the order of its random keys."""

    folder: str
    names: tuple[str, ...]
    width: int
    seed: int

    def __call__(self, whole: Whole, folder: str) -> TaskResult:
        uris = [storage.join(self.folder, name + ".arrow") for name in self.names]
        table = pa.concat_tables([_GRAMS.empty_table(), *map(parts.read_columns, uris)])
        lists = record.one_chunk(table.sort_by("key")["buckets"])
        ends = np.asarray(lists.offsets).astype(np.int64)
        sample = Grams(ends - ends[0], np.asarray(lists.flatten()))
        projection = fit_projection(sample, self.width, self.seed)
        flat = pa.array(projection.reshape(-1))
        made = pa.table({"vector": pa.FixedSizeListArray.from_arrays(flat, self.width)})
        uri = storage.join(folder, whole.name + ".arrow")
        return TaskResult([parts.write(uri, made.schema, [made], durable=False)], {})


def _has_text(texts: pa.Array) -> pa.Array:
    """Returns whether each text has a character other than white space."""
    return pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)
