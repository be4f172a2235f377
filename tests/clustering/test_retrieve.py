"""The step `retrieve`: what of a pool is nearest to marked records, against plain definitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from clustering.embed.embed import Embed
from clustering.neighbours import search
from clustering.retrieve import Retrieve
from curate import recipe as recipes
from curate.engine.inline import Inline
from curate.engine.ray import RayExecutor
from manifests import record
from manifests.errors import ManifestError, RecipeError, StepError
from manifests.step import CorpusStep, ModelIdentity
from manifests.vectors import nearest
from tests.clustering.test_cluster_runs import Interrupted, Interrupting
from tests.filters.corpus_steps import MemoryCorpus, decide
from tests.runs import file_bytes, read_run, row_counts, run_engine, text_recipe, text_source
from tests.sampling.corpora import in_parts

ROWS, WIDTH = 900, 16
FAR, NONE = "not near a marked record", "no vector"


def corpus(rows: int = ROWS, marked: float = 0.1, copies: int = 1) -> pa.Table:
    """Records of two sources and of two pools, some without vectors. `copies`: how many records in
    a row have the same vector."""
    drawn = np.random.default_rng(0)
    vectors = drawn.normal(size=(-(-rows // copies), WIDTH)).repeat(copies, axis=0)[:rows]
    missing = np.arange(rows) % 31 == 30
    lists = pa.FixedSizeListArray.from_arrays(
        pa.array(vectors.astype(np.float16).ravel()), WIDTH, mask=pa.array(missing)
    )
    return pa.table(
        {
            "id": record.record_ids("made", map(str, range(rows))),
            "source": pa.array(drawn.choice(["main", "other", "pool", "pool2"], rows)),
            "embed.vector": lists,
            "cluster.sparse": pa.array(drawn.random(rows) < marked, mask=drawn.random(rows) < 0.1),
        }
    )


class Found(NamedTuple):
    drop: list[str | None]
    cosine: list[float | None]
    of: list[str | None]


def retrieved(whole: pa.Table | MemoryCorpus, parts: int = 4, **settings: Any) -> Found:
    made = in_parts(whole, parts) if isinstance(whole, pa.Table) else whole
    step = Retrieve.model_validate({"pool": ["pool", "pool2"], **settings})
    outcomes = [outcome for _, outcome in decide(step, made)]
    drop = [reason for o in outcomes if o.drop for reason in o.drop.to_pylist()]
    columns = (
        [value for o in outcomes for value in o.columns[name].to_pylist()]
        for name in ("cosine", "of")
    )
    return Found(drop, *columns)


def expected(whole: pa.Table, count: int, least: float) -> Found:
    """The same by all cosines in float64."""
    ids, source = whole["id"].to_pylist(), whole["source"].to_pylist()
    vectors = [np.array(v, np.float64) if v else None for v in whole["embed.vector"].to_pylist()]
    units = [None if v is None else v / np.linalg.norm(v) for v in vectors]
    marks = whole["cluster.sparse"].to_pylist()
    pool = [n for n, name in enumerate(source) if name.startswith("pool")]
    near = [n for n in range(len(ids)) if n not in {*pool} and marks[n] and units[n] is not None]
    kept, best = set(), {}
    for mark in near:
        cosines = [
            (-round(float(units[mark] @ units[n]), 6), ids[n], n)
            for n in pool if units[n] is not None
        ]  # fmt: skip
        kept |= {n for cosine, _, n in sorted(cosines)[:count] if -cosine >= least}
        for cosine, _, n in cosines:
            best[n] = min(best.get(n, (1.0, "")), (cosine, ids[mark]))
    drop = [None if n not in {*pool} or n in kept else NONE if units[n] is None else FAR
            for n in range(len(ids))]  # fmt: skip
    pairs = [best.get(n, (None, None)) for n in range(len(ids))]
    return Found(drop, [None if c is None else -c for c, _ in pairs], [of for _, of in pairs])


def same(found: Found, other: Found) -> None:
    assert found.drop == other.drop
    assert found.of == other.of
    for one, two in zip(found.cosine, other.cosine, strict=True):
        assert one == (None if two is None else pytest.approx(two, abs=2e-6))


@pytest.fixture(params=[False, True], ids=["one block", "many blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        monkeypatch.setattr(search, "MARKED_ROWS", 16)
        monkeypatch.setattr(search, "POOL_ROWS", 64)
        monkeypatch.setattr("clustering.neighbours.best.TILE", 8)
        assert nearest.TILE > 8


@pytest.mark.parametrize(("count", "least"), [(1, -1), (3, 0.3), (1000, 0.4), (5, 0.99)])
@pytest.mark.parametrize("copies", [1, 5])
def test_the_nearest_of_each_marked_record_are_kept(
    blocks: None, count: int, least: float, copies: int
) -> None:
    whole = corpus(copies=copies)
    found = retrieved(whole, count=count, min=least)
    same(found, expected(whole, count, least))
    assert {NONE, FAR, None} == set(found.drop)


def test_any_partition_and_order_give_the_same_records(blocks: None) -> None:
    whole = corpus(copies=7)
    shuffled = whole.take(pa.array(np.random.default_rng(1).permutation(ROWS)))
    made = []
    for rows, parts in ((whole, 1), (whole, 9), (shuffled, 4)):
        answers = zip(*retrieved(rows, parts, count=2), strict=True)
        made.append(dict(zip(rows["id"].to_pylist(), answers, strict=True)))
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("marked", [0.0, 0.1])
def test_corpora_in_which_a_side_is_empty(marked: float) -> None:
    whole = corpus(200, marked)
    source = whole["source"].to_pylist()
    pool = pa.array([name.startswith("pool") for name in source])
    no_pool = whole.filter(pa.array([not name.startswith("pool") for name in source]))
    assert set(retrieved(no_pool).drop) == {None}
    assert set(retrieved(whole.filter(pool)).drop) == {FAR, NONE}
    assert retrieved(whole.slice(0, 0), parts=1) == ([], [], [])
    nothing = whole.set_column(2, "embed.vector", pa.nulls(200, whole["embed.vector"].type))
    assert set(retrieved(nothing).drop) == {None, NONE}
    if not marked:
        assert set(retrieved(whole).drop) == {None, FAR, NONE}
        assert set(retrieved(whole).cosine) == {None}


def test_a_column_that_is_no_mark_is_refused() -> None:
    whole = corpus(50).append_column("x", pa.array(["a"] * 50))
    with pytest.raises(StepError, match="the column 'x' has the type string"):
        retrieved(whole, near="x")


# ---- runs ----

WORDS = ["red", "bus", "cat", "sofa", "tree", "river", "shares", "market", "snow", "boat"]


def write_sources(base: Path, pool: int = 60) -> None:
    drawn = np.random.default_rng(5)
    for folder, rows in (("main", 30), ("pool", pool)):
        (base / folder).mkdir()
        for part in range(3):
            lines = [
                json.dumps({"text": " ".join(drawn.choice(WORDS, 4)) + f" {part}"})
                for _ in range(rows // 3)
            ]
            (base / folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n")


SOURCES = [text_source("main"), text_source("pool")]
MARK = "tests.clustering.test_retrieve:Marked"


class Marked(CorpusStep):
    """Marks the records whose id begins with a digit below 4."""

    def reads(self) -> tuple[str, ...]:
        return ("id",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"sparse": pa.bool_()}

    def fit(self, corpus: Any, workspace: Any, seed: int) -> None:
        return None

    def apply(self, rows: pa.Table, fit: None, context: Any) -> Any:
        from manifests.step import Outcome

        return Outcome({"sparse": pa.array([key[0] < "4" for key in rows["id"].to_pylist()])})


def recipe(embed: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    near = {"pool": "pool", "near": "Marked.sparse", "count": 2, "min": 0.2, **settings}
    steps = ({"embed": {"on": "text", **(embed or {})}}, {MARK: {}}, {"retrieve": near})
    shards = {"columns": ["retrieve.cosine", "retrieve.of"]}
    return text_recipe(*steps, sources=SOURCES) | {"shards": shards}


def outcome(out: Path) -> dict[str, tuple[Any, ...]]:
    """(cosine, of) of each record that a run kept."""
    rows = read_run(out).rows
    return {row["id"]: (row["retrieve.cosine"], row["retrieve.of"]) for row in rows}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_sources(tmp_path)
    return tmp_path


def test_ray_retrieves_the_same_records(ray: None, base: Path) -> None:
    for out, executor in (("inline", Inline()), ("ray", RayExecutor(2))):
        run_engine(recipe(index=True), base, base / out, executor)
    assert file_bytes(base / "ray") == file_bytes(base / "inline")


def test_a_later_run_uses_the_kept_vectors_of_the_pool(base: Path) -> None:
    whole = run_engine(recipe(index=True), base, base / "first")
    before, after, reasons, _ = row_counts(whole)["retrieve"]
    assert before > after > 30
    assert set(reasons) == {FAR}
    later = recipe({"only": {"source": ["main"]}}, against=["first"])
    made = run_engine(later, base, base / "second")
    assert row_counts(made)["retrieve"] == (before, after, reasons, {})
    assert outcome(base / "second") == outcome(base / "first")
    alone = run_engine(recipe({"only": {"source": ["main"]}}), base, base / "third")
    assert row_counts(alone)["retrieve"][2] == {NONE: 60}


def test_an_index_of_another_model_or_of_no_run_is_refused(base: Path) -> None:
    run_engine(recipe(index=True), base, base / "first")
    other = recipe({"only": {"source": ["main"]}, "max_tokens": 3}, against=["first"])
    with pytest.raises(RecipeError, match="which makes the vectors, changed:"):
        run_engine(other, base, base / "second")
    run_engine(recipe(), base, base / "no-index")
    with pytest.raises(RecipeError, match="the earlier run has no index to compare with"):
        run_engine(recipe(against=["no-index"]), base, base / "third")


def test_an_index_of_another_packaged_model_is_refused(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_engine(recipe(index=True), base, base / "first")
    monkeypatch.setattr(Embed, "models", lambda step, base: (ModelIdentity("other", "1"),))
    with pytest.raises(RecipeError, match="which makes the vectors, changed:"):
        run_engine(recipe({"only": {"source": ["main"]}}, against=["first"]), base, base / "second")


def test_a_damaged_index_is_refused(base: Path) -> None:
    run_engine(recipe(index=True), base, base / "first")
    (damaged, *_) = sorted((base / "first").rglob("*.retrieve.faiss"))
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(ManifestError, match=damaged.name):
        run_engine(recipe({"only": {"source": ["main"]}}, against=["first"]), base, base / "second")


def test_a_changed_index_runs_the_step_again(base: Path) -> None:
    run_engine(recipe(index=True), base, base / "first")
    later = recipe({"only": {"source": ["main"]}}, against=["first"])
    one = run_engine(later, base, base / "second").fingerprint
    (base / "pool" / "3.jsonl").write_text('{"text": "a red boat in the snow"}\n')
    run_engine(recipe(index=True), base, base / "first")
    assert run_engine(later, base, base / "second").fingerprint != one


def test_a_pool_that_is_no_source_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"there is no source named 'pol'\. Did you mean 'pool'"):
        recipes.build(recipe(pool=["pool", "pol"]))


def test_interrupted_anywhere_it_resumes_to_the_same_bytes(base: Path) -> None:
    run_engine(recipe(index=True), base, base / "whole")
    interrupted = 0
    while True:
        try:
            run_engine(recipe(index=True), base, base / "pieces", Interrupting(4 + interrupted))
            break
        except Interrupted:
            interrupted += 1
    assert interrupted > 5
    assert file_bytes(base / "pieces") == file_bytes(base / "whole")


def test_sparse_records_of_the_corpus_retrieve_from_the_pool(base: Path) -> None:
    steps = (
        {"embed": {"on": "text"}},
        {"cluster": {"of": "embed.vector", "k": 3, "only": {"source": ["main"]}}},
        {"retrieve": {"pool": "pool", "count": 3}},
    )
    made = run_engine(text_recipe(*steps, sources=SOURCES), base, base / "out")
    before, after, reasons, _ = row_counts(made)["retrieve"]
    assert before == 90
    assert 30 < after <= 30 + 3 * 3  # a tenth of the 30 records is sparse
    assert reasons == {FAR: before - after}
