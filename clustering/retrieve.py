"""The step `retrieve`: keeps the records of a pool that are nearest to marked (such as sparse)
records."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from clustering.neighbours.kept import check_embedder, kept_indexes
from clustering.neighbours.search import (
    CHOSEN,
    MARKED,
    NEAREST,
    TOP,
    CollectMarked,
    Columns,
    Merge,
    MergeTask,
    SearchPart,
    blocks_of,
    chosen_rows,
)
from clustering.neighbours.vectors import KeptIndex, pool_vectors, write_index
from manifests import storage
from manifests.errors import StepError
from manifests.run.kept_index import corpus_passes
from manifests.run.manifest import NAME
from manifests.setting_values import Names
from manifests.step import Context, Corpus, CorpusStep, Location, Outcome, Part, Workspace, reasons
from manifests.storage import parts

INDEXED = {"pool", "of"}
"""The settings in which two runs must agree for one to use the index of the other."""


class Fit(NamedTuple):
    """What the search has found. `searched`: the folder of the files with the nearest marked
    records. `chosen`: the files of the chosen rows. `width`: the number of values of a vector; None
    if there are no vectors. `kept`: the folder of the files that this run keeps. `indexes`: the
    indexes that earlier runs kept."""

    searched: str
    chosen: tuple[str, ...]
    width: int | None
    kept: str
    indexes: tuple[KeptIndex, ...]


class Retrieve(CorpusStep):
    """Keep those records of a pool that are nearest to marked records, and drop the rest of it.

    `pool` names one or several sources of the recipe. A record of any other source is marked if it
    has true in the column `near` (such as `cluster.sparse`). All records of other sources stay. A
    record of the pool stays if it is one of the `count` records that are nearest to a marked
    record, and their cosine is at least `min`. The cosine is that of the vectors in the column
    `of`. If records of the pool are equally near, those with the lowest ids are taken. So rare
    concepts are strengthened from a pool that is much larger than the corpus.

    For each record of the pool, also for a dropped one, `of` is the id of the nearest marked
    record, and `cosine` the cosine of the two. A record of the pool without a vector is dropped.

    The search is exact: all records of the pool are compared with all marked records, block by
    block, on all workers. A worker holds one block of the pool, one block of marked records, and
    `count` numbers for each marked record.

    With `index: true` the run keeps a faiss index (IndexFlatIP) of the pool's vectors, one file for
    each part. If a later run has `against: [out]`, a record of its pool without a vector gets its
    vector from this index, so the pool need not be embedded again (`embed: {only: {source:
    [main]}}`). The digest of the earlier run is part of the identity of this step. A run that makes
    the vectors with another model than the earlier run is refused.
    """

    version: ClassVar[int] = 1

    pool: Names = Field(min_length=1, description="name or names of the sources that are the pool")
    near: str = Field(
        "cluster.sparse", description="column of true and false: which records of the other "
        "sources are marked"
    )  # fmt: skip
    of: str = Field("embed.vector", description="column of vectors")
    count: PositiveInt = Field(
        10,
        le=10_000,
        description="number of records of the pool for each marked record (our choice)",
    )
    min: float = Field(0.5, ge=-1, le=1, description="lowest cosine (our choice)")
    index: bool = Field(False, description="keep a faiss index of the pool for later runs")
    against: Annotated[tuple[str, ...], Location()] = Field(
        (), description="folders of earlier runs whose indexes have vectors of the pool"
    )

    def named_sources(self) -> tuple[str, ...]:
        return self.pool

    def made_by(self) -> str | None:
        return self.of if self.against else None

    def reads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("id", "source", self.of, self.near)))

    def measures(self) -> dict[str, pa.DataType]:
        return {"cosine": pa.float32(), "of": pa.string()}

    def files(self, base: str) -> tuple[str, ...]:
        """Returns the paths of the manifests of the earlier runs: one for each pass of a corpus
        step, because such a pass may have written the index."""
        runs = [storage.resolve(base, run) for run in self.against]
        if self.maker is not None:
            for run in runs:
                check_embedder(run, self.of, self.maker, base)
        return tuple(storage.join(place, NAME) for run in runs for place in corpus_passes(run))

    @property
    def _columns(self) -> Columns:
        return Columns(self.of, self.near, self.pool)

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Fit:
        indexes = self._indexes(workspace)
        folder, marked = workspace.phase(
            "marked", CollectMarked(corpus, self._columns), corpus.parts
        )
        width = self._width([commit.detail for commit in marked])
        in_pool = [part for part, c in zip(corpus.parts, marked, strict=True) if c.detail["pool"]]
        self._note(workspace, [commit.detail for commit in marked])
        if width is None:
            return Fit("", (), None, workspace.kept, indexes)
        blocks = blocks_of(
            [(storage.join(folder, c.part + MARKED), c.detail["marked"]) for c in marked]
        )
        search = SearchPart(
            corpus, self._columns, tuple(blocks), width, self.count, self.min, indexes
        )
        searched, _ = workspace.phase("search", search, in_pool)
        files = tuple((p.number, storage.join(searched, p.name + TOP)) for p in in_pool)
        merge, tasks = Merge(files, self.count), [MergeTask(n) for n in range(len(blocks))]
        merged, commits = workspace.phase("merge", merge, tasks)
        chosen = tuple(storage.join(merged, commit.part + CHOSEN) for commit in commits)
        return Fit(searched, chosen, width, workspace.kept, indexes)

    def _width(self, details: list[dict[str, Any]]) -> int | None:
        widths = sorted({one["width"] for one in details if one["width"] is not None})
        if len(widths) > 1:
            raise StepError(
                f"the vectors have different numbers of values: {widths}", "the setting 'of'",
                "Embed all records with the same model.",
            )  # fmt: skip
        return widths[0] if widths else None

    def _note(self, workspace: Workspace, details: list[dict[str, Any]]) -> None:
        found = {name for one in details for name in one["pool"]}
        for name in self.pool:
            if name not in found:
                workspace.note(f"the source '{name}' of the pool has no records")
        if not any(one["marked"] for one in details):
            workspace.note(f"no record outside of the pool has true in the column '{self.near}'")

    def _indexes(self, workspace: Workspace) -> tuple[KeptIndex, ...]:
        kind = f"{type(self).__module__}:{type(self).__qualname__}"
        settings = self.model_dump(mode="json", include=INDEXED)
        runs = tuple(map(workspace.resolve, self.against))
        return kept_indexes(runs, kind, self.version, settings)

    def apply(self, rows: pa.Table, fit: Fit, context: Context) -> Outcome:
        part = context.part
        assert part is not None
        in_pool = self._columns.in_pool(rows)
        cosine = np.full(rows.num_rows, -np.inf, np.float32)
        of = np.full(rows.num_rows, None, object)
        chosen = np.zeros(rows.num_rows, bool)
        has_vector = np.zeros(rows.num_rows, bool)
        if fit.width is not None and in_pool.any():
            nearest = parts.read_columns(storage.join(fit.searched, part.name + NEAREST))
            at = np.asarray(nearest["row"])
            cosine[at], has_vector[at] = np.asarray(nearest["cosine"]), True
            of[at] = np.array(nearest["of"].to_pylist(), object)
            chosen[chosen_rows(fit.chosen, part.number)] = True
        columns = {
            "cosine": pa.array(cosine, mask=np.isneginf(cosine)),
            "of": pa.array(of, pa.string()),
        }
        rules = (
            (in_pool & ~has_vector, "no vector"),
            (in_pool & ~chosen, "not near a marked record"),
        )
        outcome = Outcome(columns, reasons(rows.num_rows, *rules))
        return self._with_index(outcome, rows.filter(pa.array(in_pool)), fit, part)

    def _with_index(self, outcome: Outcome, pool: pa.Table, fit: Fit, part: Part) -> Outcome:
        if not self.index or fit.width is None or not pool.num_rows:
            return outcome
        found = pool_vectors(pool["id"], pool[self.of], fit.width, fit.indexes)
        ids = pool["id"].take(pa.array(found.rows))
        return outcome._replace(files=write_index(fit.kept, part.name, ids, found.units))
