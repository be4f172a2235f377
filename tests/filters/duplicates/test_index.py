"""`index` and `against`: a run keeps an index, and a later run compares its records with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from curate.cli import DIFFERS, OK
from filters.duplicates.corpus.index import find_index_files
from filters.duplicates.duplicates import Duplicates
from manifests.errors import ManifestError, RecipeError
from manifests.run.manifest import load_run
from manifests.storage import parts
from tests.filters.duplicates import planted
from tests.filters.duplicates.brute_force import jaccard
from tests.filters.duplicates.outcomes import RecordOutcome, outcomes_of_run
from tests.filters.duplicates.test_semantic import cosine, vectors
from tests.make import write_texts
from tests.runs import (
    curate,
    row_counts,
    run_engine,
    run_steps,
    text_recipe,
    text_source,
    texts_kept,
    texts_read,
)

MINHASH: dict[str, Any] = {"by": "minhash", "threshold": 0.7, "bands": 40, "rows": 3}
EARLIER = "in an earlier corpus"


def step(index: bool = False, against: str | list[str] = (), **settings: Any) -> dict[str, Any]:
    runs = [against] if isinstance(against, str) else [*against]
    return {"duplicates": {**settings, "index": index, "against": runs}}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Two corpora with much in common."""
    made = planted.texts(1, 30, 90)
    write_texts(tmp_path / "old", made[:60])
    write_texts(tmp_path / "new", made[60:], 4)
    return tmp_path


OLD, NEW = [text_source("old")], [text_source("new")]


@pytest.mark.parametrize("settings", [{"by": "text"}, MINHASH], ids=["text", "minhash"])
def test_a_second_run_drops_all_that_the_first_kept(base: Path, settings: dict[str, Any]) -> None:
    first = run_steps(base, "first", step(True, **settings), sources=OLD)
    kept = row_counts(first)["duplicates"][1]
    second = run_steps(base, "second", step(against="first", **settings), sources=OLD)
    rows_in, stays, dropped, _ = row_counts(second)["duplicates"]
    assert (rows_in, stays) == (60, 0)
    assert dropped == {EARLIER: 60}
    assert {one.survivor for one in outcomes_of_run(base, "second").values()} == {
        key for key, one in outcomes_of_run(base, "first").items() if one.stays
    }
    assert kept < 60


@pytest.mark.parametrize("settings", [{"by": "text"}, MINHASH], ids=["text", "minhash"])
def test_new_records_are_dropped_as_in_a_run_over_both_corpora(
    base: Path, settings: dict[str, Any]
) -> None:
    """A new record is dropped if its family contains a record of the earlier corpus; of every other
    family one record stays."""
    prefers = {**settings, "keep": [{"source": ["old", "new"]}]}
    run_steps(base, "first", step(True, **settings), sources=OLD)
    run_steps(base, "second", step(against="first", **settings, keep="id"), sources=NEW)
    run_steps(base, "both", step(**prefers), sources=[*OLD, *NEW])
    second, together = outcomes_of_run(base, "second"), outcomes_of_run(base, "both")
    stays = {key for key, one in second.items() if one.stays}
    assert stays == {key for key in texts_read(base, "second") if together[key].stays}
    reasons = [one.reason for one in second.values()]
    assert reasons.count(EARLIER) > 10
    assert "duplicate" in reasons
    assert len(stays) > 3


def test_a_survivor_in_the_earlier_corpus_is_named_with_the_path_to_it(base: Path) -> None:
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)
    old, new, second = (
        texts_read(base, "first"),
        texts_read(base, "second"),
        outcomes_of_run(base, "second"),
    )
    assert not set(old) & set(new)
    for key, one in second.items():
        if one.stays:
            assert one.survivor is None
            continue
        assert one.survivor is not None
        assert one.of is not None
        assert (one.reason == EARLIER) == (one.survivor in old)
        text = new | old
        assert one.similarity == pytest.approx(jaccard(new[key], text[one.of]))
        if one.of in new and one.reason == EARLIER:
            assert second[one.of].survivor == one.survivor


def test_records_that_the_first_run_dropped_are_not_in_its_index(base: Path) -> None:
    kept = {"keep": "-text.length"}
    first = run_steps(base, "first", step(True, **MINHASH, **kept), sources=OLD)
    rows = 0
    for entry in first.passes:
        for path in (base / "first" / entry.folder).glob("*.index.arrow"):
            rows += parts.read_columns(str(path), ("id",)).num_rows
    assert rows == row_counts(first)["duplicates"][1]
    settings = {"by": ["minhash"], "n": 5, "bands": 40}
    kind = "filters.duplicates.duplicates:Duplicates"
    found = find_index_files((str(base / "first"),), kind, Duplicates.version, settings)
    assert (found.rows, len(found.files)) == (rows, 3)


def test_repeating_the_earlier_run_does_not_change_the_later_one(base: Path) -> None:
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    before = run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)
    time = load_run(str(base / "first")).environment
    shutil.rmtree(base / "first")
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    assert load_run(str(base / "first")).environment != time
    after = run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)
    assert after.fingerprint == before.fingerprint


def test_a_run_against_several_indexes_has_an_index_of_its_own(base: Path) -> None:
    write_texts(base / "newer", planted.texts(1, 30, 120)[100:])
    settings = {**MINHASH, "keep": [{"source": ["old", "new"]}]}
    run_steps(base, "first", step(True, **settings), sources=OLD)
    run_steps(base, "second", step(True, "first", **settings), sources=NEW)
    third = step(False, ["first", "second"], **settings)
    run_steps(base, "third", third, sources=[text_source("newer")])
    run_steps(base, "one", step(False, "second", **settings), sources=[text_source("newer")])
    old = {*texts_read(base, "first"), *texts_read(base, "second")}
    survivors = {
        one.survivor for one in outcomes_of_run(base, "third").values() if one.reason == EARLIER
    }
    assert survivors & set(texts_read(base, "first"))
    assert survivors & set(texts_read(base, "second"))
    assert survivors <= old
    assert len(texts_kept(base, "third")) < len(texts_kept(base, "one"))
    run_steps(base, "fourth", step(False, ["first", "second"], **settings), sources=[*OLD, *NEW])
    assert texts_kept(base, "fourth") == []


def test_threshold_and_keep_may_differ_from_those_of_the_index(base: Path) -> None:
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    loose = {**MINHASH, "threshold": 0.5, "keep": "text.length"}
    counts = []
    for settings in (MINHASH, loose, {**MINHASH, "threshold": 1.0}):
        made = run_steps(base, "second", step(against="first", **settings), sources=NEW)
        counts.append(row_counts(made)["duplicates"][2][EARLIER])
    assert counts[1] > counts[0] > counts[2] > 0


@pytest.mark.parametrize(("changed", "named"), [
    ({"n": 4}, "{'n': 5}"),
    ({"tokens": "whitespace"}, "{'tokens': 'words'}"),
    ({"permutations": 256}, "{'permutations': 128}"),
])  # fmt: skip
def test_an_index_of_other_settings_is_refused_and_the_difference_named(
    base: Path, changed: dict[str, Any], named: str
) -> None:
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    with pytest.raises(RecipeError) as caught:
        run_engine(
            text_recipe(step(against="first", **{**MINHASH, **changed}), sources=NEW),
            base,
            base / "x",
        )
    assert "no index to compare with: the step had other settings in the earlier run" in str(
        caught.value
    )
    assert named in str(caught.value)
    assert str(base / "first") in str(caught.value)


def test_a_run_without_an_index_is_refused(base: Path) -> None:
    run_steps(base, "first", step(**MINHASH), {"sample": {"share": 0.5}}, sources=OLD)
    with pytest.raises(RecipeError, match="has no index to compare with") as caught:
        run_engine(text_recipe(step(against="first", **MINHASH), sources=NEW), base, base / "x")
    assert "`index: true`" in str(caught.value)
    run_steps(base, "text", step(True, by="text"), sources=OLD)
    with pytest.raises(RecipeError, match="'by'"):
        run_engine(text_recipe(step(against="text", **MINHASH), sources=NEW), base, base / "x")


def test_a_run_without_a_corpus_step_is_refused_even_if_all_parts_are_committed(base: Path) -> None:
    run_steps(base, "first", {"words": {}}, sources=OLD)
    run_steps(base, "second", step(**MINHASH), sources=NEW)
    with pytest.raises(RecipeError, match="has no index to compare with"):
        run_engine(
            text_recipe(step(against="first", **MINHASH), sources=NEW), base, base / "second"
        )


def test_an_earlier_run_may_move(base: Path) -> None:
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    before = run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)
    (base / "first").rename(base / "moved")
    after = run_steps(base, "second", step(against="moved", **MINHASH), sources=NEW)
    folders = [[entry.folder for entry in made.passes] for made in (before, after)]
    assert folders[0] == folders[1]


def test_an_earlier_run_that_does_not_exist_is_an_error(base: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere/manifest\.json: there is no manifest"):
        run_engine(text_recipe(step(against="nowhere", **MINHASH), sources=NEW), base, base / "x")


def test_a_changed_index_makes_the_step_run_again(base: Path) -> None:
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    before = run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)
    write_texts(base / "old", planted.texts(1, 30, 90)[:3])
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    after = run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)
    counts = [row_counts(made)["duplicates"][2][EARLIER] for made in (before, after)]
    assert counts[0] > counts[1] > 0


def test_a_damaged_index_is_refused_by_name_until_its_run_is_repeated(base: Path) -> None:
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    path = sorted((base / "first").glob("steps/*/*.index.arrow"))[0]
    sound = path.read_bytes()
    path.write_bytes(sound[:1000] + bytes([sound[1000] ^ 1]) + sound[1001:])
    with pytest.raises(ManifestError, match=rf"{path.name}: the file has digest .* Repeat the ear"):
        run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    assert path.read_bytes() == sound
    run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)


def test_a_rerun_against_an_index_that_changed_names_the_step(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    run_steps(base, "second", step(against="first", **MINHASH), sources=NEW)
    again = ("rerun", "second", "--inline", "-q", "--base", str(base))
    assert curate(base, *again) == OK
    write_texts(base / "old", planted.texts(1, 30, 90)[:3])
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    capsys.readouterr()
    assert curate(base, *again) == DIFFERS
    assert "step duplicates files[0]" in capsys.readouterr().out


def test_an_index_keeps_embeddings(tmp_path: Path) -> None:
    found = vectors(1, 60)
    clusters = [int(v[0] > 0) for v in found]
    columns = {"vector": found.tolist(), "cluster": clusters, "nearest": [[c] for c in clusters]}
    for name, some in (("old", slice(0, 35)), ("new", slice(35, 60))):
        own = {key: values[some] for key, values in columns.items()}
        write_texts(tmp_path / name, [f"text {n}" for n in range(60)][some], 2, **own)
    embed: dict[str, Any] = {"tests.engine.pieces:Embed": {}}
    settings = {
        "by": "semantic",
        "threshold": 0.9,
        "embedding": "Embed.vector",
        "clusters": "Embed.nearest",
    }
    run_steps(tmp_path, "first", embed, step(True, **settings), sources=OLD)
    run_steps(tmp_path, "second", embed, step(against="first", **settings), sources=NEW)
    old, new = (_numbers(tmp_path, out) for out in ("first", "second"))
    kept = {old[key] for key, one in outcomes_of_run(tmp_path, "first").items() if one.stays}
    rows = [{"embed.vector": vector} for vector in found]
    for key, one in outcomes_of_run(tmp_path, "second").items():
        number = new[key]
        near = (n for n in kept if clusters[n] == clusters[number])
        alike = [n for n in near if cosine(rows[n], rows[number]) >= 0.9]
        assert (one.reason == EARLIER) or not alike
        if one.of in old:
            assert old[one.of] in alike
    assert EARLIER in {one.reason for one in outcomes_of_run(tmp_path, "second").values()}


def _numbers(base: Path, out: str) -> dict[str, int]:
    return {key: int(text.split()[1]) for key, text in texts_read(base, out).items()}


def test_the_index_has_only_the_rows_that_the_step_applies_to(base: Path) -> None:
    only = step(True, by="text")
    only["duplicates"]["only"] = {"source": "old"}
    run_steps(base, "first", only, sources=[*OLD, *NEW])
    made = run_steps(base, "second", step(against="first", by="text"), sources=[*OLD, *NEW])
    survivors = {
        one.survivor for one in outcomes_of_run(base, "second").values() if one.reason == EARLIER
    }
    assert survivors <= set(outcomes_of_run(base, "first"))
    assert row_counts(made)["duplicates"][2][EARLIER] >= 60
    assert json.loads(json.dumps(load_run(str(base / "first")).recipe))["steps"] == [only]
    assert {RecordOutcome().family} <= {
        one.family for one in outcomes_of_run(base, "second").values()
    }


def test_an_index_serves_runs_with_other_thresholds_and_bands(base: Path) -> None:
    run_steps(base, "first", step(True, by="minhash"), sources=OLD)
    apart = run_steps(base, "near", step(against="first", by="minhash"), sources=NEW)
    wide = run_steps(base, "wide", step(against="first", by="minhash", threshold=0.4), sources=NEW)
    known = [row_counts(made)["duplicates"][2][EARLIER] for made in (apart, wide)]
    assert known[0] < known[1]


def test_an_index_of_another_version_of_the_step_is_refused(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Duplicates.version
    monkeypatch.setattr(Duplicates, "version", now - 1)
    run_steps(base, "first", step(True, **MINHASH), sources=OLD)
    monkeypatch.setattr(Duplicates, "version", now)
    recipe = text_recipe(step(against="first", **MINHASH), sources=NEW)
    with pytest.raises(RecipeError) as caught:
        run_engine(recipe, base, base / "x")
    fault = f"the step had version {now - 1} in the earlier run, but now has {now}"
    assert f"the earlier run has no index to compare with: {fault}" in str(caught.value)
    assert "Run the recipe of the earlier run again, with a new output folder." in str(caught.value)
