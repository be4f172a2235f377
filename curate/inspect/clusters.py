"""The clusters of a finished run: size, share of sparse records, density, the records nearest to
the centre, and the terms of their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clustering.cluster import Cluster
from clustering.concepts import count_terms, distinctive_terms
from clustering.kmeans.table import ENDING, read_table
from curate.inspect.part_records import PassFiles, passes_of, records_after
from manifests import record
from manifests.errors import InputError, RecipeError
from manifests.run import manifest
from manifests.step.spelling import nearest
from manifests.storage import parts
from manifests.storage.digest import stated_file

NEAREST = 6
"""How many of the records nearest to the centre are found of each cluster (our choice)."""
TERMS = 8
"""How many terms are found of each cluster (our choice)."""
_TEXTS, _CORPUS_TEXTS = 1_000, 20_000
"""About how many texts of a cluster, and of the corpus, its terms are found in (our choice). More
are sampled, by the random keys of their records."""
_SEED = 0
"""The seed of this sample (our choice)."""

SORTS = ("size", "sparsity")


class NearRecord(NamedTuple):
    """A record near the centre of its cluster. `text` is "" if it has none; `image` is the entry of
    its first image in the column `media`, None if it has none."""

    id: str
    origin: str
    distance: float
    text: str
    image: dict[str, Any] | None


class ClusterRow(NamedTuple):
    """One cluster. `sparse` is the share of its records that are sparse. `distance` and `density`
    are means over its records. `sparse` and `density` are None if the step measured no density."""

    cluster: int
    size: int
    sparse: float | None
    distance: float
    density: float | None
    terms: list[str]
    nearest: list[NearRecord]


class ClusterReport(NamedTuple):
    """The clusters of the step `step`. `clusters` is the number of clusters that have records,
    `records` the number of records in clusters, and `without` the number of records in no cluster.
    `quality` has what the step measured of all clusters together; `rows` are the clusters to
    show."""

    step: str
    clusters: int
    records: int
    without: int
    quality: dict[str, Any]
    rows: list[ClusterRow]


def cluster_table(out: str, step: str | None, sort: str, limit: int) -> ClusterReport:
    """Return the clusters of the run in the folder `out`. `sort` is one of SORTS: the largest or
    the sparsest clusters come first. `limit` is the number of clusters; 0 means all.

    `step` is the name of the step that made the clusters; None means the first such step. Raises
    InputError if no step made clusters. Parts are read one after the other.
    """
    at, name = _found_step(out, step)
    passes = passes_of(out)[: at + 1]
    corpus = _Clustered(passes, name)
    sums = corpus.sums()
    order = sums.order(sort)
    shown = order[:limit] if limit else order
    near, terms = corpus.nearest(shown), corpus.terms(shown, sums)
    rows = [sums.row(one, terms[one], near.get(one, [])) for one in shown.tolist()]
    records = int(sums.sizes.sum())
    return ClusterReport(name, len(order), records, sums.without, _quality(passes[-1]), rows)


def _found_step(out: str, wanted: str | None) -> tuple[int, str]:
    """Return the number of the pass that made clusters, and the name of its step."""
    kind, known = f"{Cluster.__module__}:{Cluster.__qualname__}", []
    for at, entry in enumerate(manifest.load_run(out).passes):
        for one in manifest.load_pass_of(out, entry).steps if entry.kind == "corpus" else ():
            if one.get("kind") == kind and wanted in (None, one["name"]):
                return at, one["name"]
            known += [one["name"]] if one.get("kind") == kind else []
    if known:
        fault = f"no step named '{wanted}' made clusters in this run."
        raise RecipeError(fault, out, nearest(str(wanted), known))
    raise InputError(
        "no step of this run made clusters.", out,
        "Add `- embed` and `- cluster: {k: 1000}` to the recipe, and run it again.",
    )  # fmt: skip


def _quality(made: PassFiles) -> dict[str, Any]:
    for commit in made.commits.values():
        if file := commit.file(ENDING):
            return read_table(stated_file(made.folder, file)).quality
    return {}


class _Sums(NamedTuple):
    """Sums over the records of each cluster, by the number of the cluster. `density` and `sparse`
    are None if the step measured no density. `without` is the number of records in no cluster."""

    sizes: np.ndarray
    distance: np.ndarray
    density: np.ndarray | None
    sparse: np.ndarray | None
    without: int

    def order(self, sort: str) -> np.ndarray:
        """Return the numbers of the clusters with records, in the order `sort`: by size, or by the
        share of sparse records, then by density."""
        full = np.flatnonzero(self.sizes)
        sizes = self.sizes[full]
        if sort == "size" or self.sparse is None or self.density is None:
            return full[np.argsort(-sizes, kind="stable")]
        density = self.density[full] / sizes
        return full[np.lexsort((density, -self.sparse[full] / sizes))]

    def row(self, cluster: int, terms: list[str], near: list[NearRecord]) -> ClusterRow:
        def mean(sums: np.ndarray | None) -> float | None:
            return None if sums is None else float(sums[cluster] / self.sizes[cluster])

        distance = mean(self.distance)
        assert distance is not None
        return ClusterRow(
            cluster, int(self.sizes[cluster]), mean(self.sparse), distance, mean(self.density),
            terms, near,
        )  # fmt: skip


class _Clustered(NamedTuple):
    """The records of a run as they are after the passes `passes`. The step `name` made the clusters
    in the last of these passes."""

    passes: list[PassFiles]
    name: str

    def tables(self, *columns: str) -> Iterator[pa.Table]:
        """Yield the given columns of the records of each part. A name that begins with a dot is a
        measure of the step `cluster`: `.id` becomes the column `cluster_id` of the table. A measure
        that the step did not make is left out."""
        known = {f.removeprefix(self.name) for f in self._made()}
        wanted = [c for c in columns if not c.startswith(".") or c in known]
        names = tuple(self.name + c if c.startswith(".") else c for c in wanted)
        for part in self.passes[-1].commits:
            view = records_after(self.passes, part, names)
            table = view.read_columns(names, parts.read_checked)
            yield table.rename_columns([c.replace(".", "cluster_") for c in wanted])

    def _made(self) -> list[str]:
        for commit in self.passes[-1].commits.values():
            if file := commit.file(".arrow"):
                uri = stated_file(self.passes[-1].folder, file)
                names: list[str] = parts.open_part(uri).schema.names
                return names
        return []

    def sums(self) -> _Sums:
        totals: dict[str, np.ndarray] = {}
        without = 0
        for table in self.tables(".id", ".distance", ".density", ".sparse"):
            without += table["cluster_id"].null_count
            table = table.filter(table["cluster_id"].is_valid())
            clusters = np.asarray(table["cluster_id"])
            _add(totals, "cluster_id", np.bincount(clusters))
            for name in table.column_names[1:]:
                values = np.asarray(table[name].cast(pa.float64()))
                _add(totals, name, np.bincount(clusters, values))
        found = [totals.get(f"cluster_{name}") for name in ("distance", "density", "sparse")]
        sizes = totals.get("cluster_id", np.empty(0, np.int64))
        distance = found[0] if found[0] is not None else np.empty(0)
        return _Sums(sizes, distance, found[1], found[2], without)

    def nearest(self, clusters: np.ndarray) -> dict[int, list[NearRecord]]:
        """Return the NEAREST records of each of the clusters, the nearest to its centre first."""
        chosen: pa.Table | None = None
        wanted = pa.array(clusters, pa.int32())
        for table in self.tables(".id", ".distance", "id", "origin", "content", "media"):
            table = table.filter(pc.is_in(table["cluster_id"], wanted))
            table = table if chosen is None else pa.concat_tables([chosen, table])
            chosen = _first_of_each(table)
        found: dict[int, list[NearRecord]] = {}
        if chosen is not None and chosen.num_rows:
            texts = record.texts(chosen["content"]).fill_null("")
            chosen = chosen.drop_columns("content").append_column("text", texts)
            for row in chosen.to_pylist():
                image = next((m for m in row["media"] if m["kind"] == "image"), None)
                values = (row["id"], row["origin"], row["cluster_distance"], row["text"], image)
                found.setdefault(row["cluster_id"], []).append(NearRecord(*values))
        return found

    def terms(self, clusters: np.ndarray, sums: _Sums) -> dict[int, list[str]]:
        """Return, for each of the clusters, the terms that distinguish its texts."""
        own: dict[int, Counter[str]] = {one: Counter() for one in clusters.tolist()}
        corpus: Counter[str] = Counter()
        share = np.zeros(len(sums.sizes) + 1)
        share[clusters] = _TEXTS / sums.sizes[clusters]
        of_corpus = _CORPUS_TEXTS / max(1, int(sums.sizes.sum()) + sums.without)
        for table in self.tables(".id", "id", "content"):
            keys = record.uniform_numbers(record.random_keys(table["id"], _SEED))
            numbers = np.asarray(table["cluster_id"].fill_null(-1))  # -1: the last share, 0
            every = keys < of_corpus
            needed = np.flatnonzero((keys < share[numbers]) | every)
            found = table["content"].take(pa.array(needed))
            texts = record.texts(found).fill_null("").to_pylist() if len(needed) else []
            for row, text in zip(needed.tolist(), texts, strict=True):  # of a few thousand rows
                counted = count_terms([text])
                if keys[row] < share[numbers[row]]:
                    own[int(numbers[row])].update(counted)
                if every[row]:
                    corpus.update(counted)
        return {one: distinctive_terms(counts, corpus, TERMS) for one, counts in own.items()}


def _add(totals: dict[str, np.ndarray], name: str, counts: np.ndarray) -> None:
    before = totals.get(name, np.zeros(0, counts.dtype))
    if len(before) < len(counts):
        before, counts = counts.copy(), before
    before[: len(counts)] += counts
    totals[name] = before


def _first_of_each(table: pa.Table) -> pa.Table:
    """Return the NEAREST rows of each cluster with the smallest distances, the smallest first. Rows
    of equal distance are in the order of their ids."""
    keys = [("cluster_id", "ascending"), ("cluster_distance", "ascending"), ("id", "ascending")]
    order = pc.sort_indices(table.select([name for name, _ in keys]), sort_keys=keys)
    clusters = np.asarray(table["cluster_id"])[np.asarray(order)]
    ranks = np.arange(len(clusters)) - np.searchsorted(clusters, clusters)
    return table.take(order.filter(pa.array(ranks < NEAREST))).combine_chunks()
