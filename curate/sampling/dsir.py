"""The step `dsir`: weights records by how much their text is like a target corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from curate.sampling.selection.exponentials import logarithm
from manifests import record, storage
from manifests.errors import InputError
from manifests.step import Context, Corpus, CorpusStep, Location, Outcome, Part, Workspace
from manifests.storage import File
from manifests.tables import Kind, kind_of, lines, rows, value

_EPSILON = 1e-8
"""Added to each frequency, because 0 has no logarithm (as in the authors' code)."""
_BATCH = 1000
"""How many texts of the target are counted in one call (our choice)."""


class Dsir(CorpusStep):
    r"""Weight records by how much their text is like a target corpus.

    `log_weight` is the logarithm of the importance weight of DSIR (Xie et al. 2023, arXiv
    2302.03169). A hash puts each word, and each pair of neighbouring words, into one of the
    buckets. A bucket has the frequency p in the target and q in this corpus; `log_weight` is the
    sum of ln(p + 1e-8) - ln(q + 1e-8) over all words and pairs of the text. `sample: {records: N,
    log_weight: dsir.log_weight}` draws with these weights, as in the paper. This step drops no
    record; a record without words has no weight (null).

    Words are the matches of the pattern `\w+|[^\w\s]+` in lower case, and there are 10,000 buckets,
    as in the authors' code. The authors hash with SHA-256 and this step with a faster hash, so
    other words share a bucket. That changes the weights, and with a small target it changes them
    much. Long texts mostly have weights far below 1, so short texts are preferred. Therefore the
    authors' code leaves out texts with fewer than 100 such words. Their number is the measure
    `tokens`.
    """

    uses_seed: ClassVar[bool] = True

    target: Annotated[str, Location()] = Field(
        description="file, folder or glob of the target: JSON lines, JSON arrays, Parquet, CSV, "
        "TSV, or .txt with a text on each line"
    )
    text: str = Field("text", description="field that has the text, in tables of the target")
    buckets: PositiveInt = Field(
        10_000, description="number of buckets (10,000 in the authors' code)"
    )
    raw_share: float = Field(
        1.0, gt=0, le=1, description="share of this corpus in which the frequencies q are counted"
    )

    def reads(self) -> tuple[str, ...]:
        return ("id", "content")

    def measures(self) -> dict[str, pa.DataType]:
        return {"log_weight": pa.float64(), "tokens": pa.int32()}

    def files(self, base: str) -> tuple[str, ...]:
        return tuple(file.uri for file, _ in _files(storage.resolve(base, self.target)))

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> np.ndarray:
        """Returns (buckets,) float64: ln(p / q) of each bucket, where p is the bucket's frequency
        in the target and q its frequency in this corpus."""
        from manifests.kernels.gram_buckets import bucket_counts

        target = np.zeros(self.buckets, np.int64)
        place = workspace.resolve(self.target)
        texts = _texts(place, self.text)
        while some := list(islice(texts, _BATCH)):
            target += bucket_counts(pa.array(some, pa.string()), self.buckets)
        if not target.any():
            raise InputError(
                "the target has no text.", place, "Correct `target` or `text` of `dsir`."
            )
        raw = np.zeros(self.buckets, np.int64)
        for _, counts in workspace.map(_CountBuckets(corpus, self, seed), corpus.parts):
            raw += counts
        ratios: np.ndarray = logarithm(_frequencies(target)) - logarithm(_frequencies(raw))
        return ratios

    def apply(self, rows: pa.Table, fit: np.ndarray, context: Context) -> Outcome:
        from manifests.kernels.gram_buckets import bucket_scores

        scores, tokens = bucket_scores(record.texts(rows["content"]), fit)
        weights = pa.array(scores, mask=tokens == 0)
        return Outcome({"log_weight": weights, "tokens": pa.array(tokens)})


@dataclass(frozen=True)
class _CountBuckets:
    """A task: counts, for each bucket, the words and the pairs of neighbouring words in the texts
    of a part."""

    corpus: Corpus
    step: Dsir
    seed: int

    def __call__(self, part: Part) -> np.ndarray:
        from manifests.kernels.gram_buckets import bucket_counts

        rows = self.corpus.read(part)
        texts = record.texts(rows["content"])
        if self.step.raw_share < 1:
            keys = record.random_keys(rows["id"], self.seed)
            texts = texts.filter(pa.array(record.uniform_numbers(keys) < self.step.raw_share))
        return bucket_counts(texts, self.step.buckets)


def _frequencies(counts: np.ndarray) -> np.ndarray:
    frequencies: np.ndarray = counts / max(int(counts.sum()), 1) + _EPSILON
    return frequencies


def _files(place: str) -> list[tuple[File, Kind]]:
    """Returns the files of the target and their formats. Raises InputError if there is no file, or
    if a file is neither a table nor text."""
    found: list[tuple[File, Kind]] = []
    for file in storage.list_files(place):
        kind = kind_of(file.name)
        if kind is None or kind is Kind.IMAGE:
            raise InputError(
                "the target has a file that is neither a table nor text.", file.uri,
                "Write a path that excludes it, such as folder/*.parquet.",
            )  # fmt: skip
        found.append((file, kind))
    if not found:
        raise InputError("the path of the target leads to no file.", place, "Correct the path.")
    return found


def _texts(place: str, field: str) -> Iterator[str]:
    """Yields the texts of all files of the target. `field` is the field of a table that has the
    text."""
    for file, kind in _files(place):
        if kind is Kind.LINES:
            yield from (line for _, line in lines(file))
            continue
        for number, row in rows(file, kind, (field,)):
            text = value(row, field)
            if not (text is None or isinstance(text, str)):
                raise InputError(
                    f"the field '{field}' is {text!r:.80}, which is not text.",
                    f"{file.uri}#{number}", "Name the field that has the text in `text`.",
                )  # fmt: skip
            yield text or ""
