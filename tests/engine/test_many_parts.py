"""A file with large records becomes several parts, and everything that lasts is as with one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from curate import cli
from curate.emit import order
from curate.engine import part_files
from curate.engine.passes import read
from curate.ingest.formats import batching
from manifests.run import manifest
from manifests.run.verify import verify
from manifests.storage import parts
from tests.make import write_captions
from tests.runs import caption_recipe, curate, file_bytes, run_engine

FORMATS = ["arrow", "jsonl", "webdataset"]


def _recipe(max_words: int = 60) -> dict[str, Any]:
    steps: list[Any] = [
        {"words": {"min": 5, "max": max_words}},
        {"tests.engine.pieces:SlowModel": {"milliseconds": 0}},
        {"duplicates": {"by": "text"}},
        {"characters": {"min": 3}},
    ]
    return caption_recipe(steps=steps, shards={"formats": FORMATS, "shard_bytes": 30_000})


def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "BATCH_BYTES", 200)
    monkeypatch.setattr(read, "PART_BYTES", 2000)
    monkeypatch.setattr(order, "TABLE_BYTES", 2000)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one part for each file in `one`, and one with many parts in `many`."""
    folder = tmp_path_factory.mktemp("many-parts")
    write_captions(folder / "data", files=2, rows=40)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(batching, "BATCH_BYTES", 200)
        run_engine(_recipe(), folder, folder / "one")
        _small_parts(patched)
        run_engine(_recipe(), folder, folder / "many")
    return folder


@pytest.fixture
def base(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of both runs and their data; the next run makes small parts too."""
    _small_parts(monkeypatch)
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


def _products(out: Path) -> dict[str, bytes]:
    """What the records are in the end: not the record batches of Arrow, which are smaller."""
    wanted = ("jsonl/data", "webdataset/data")
    return {name: data for name, data in file_bytes(out).items() if name.startswith(wanted)}


def _read_parts(out: Path) -> list[manifest.Commit]:
    made = manifest.load_run(str(out))
    return manifest.load_pass(str(out / made.passes[0].folder)).parts


def test_shards_and_ledgers_do_not_depend_on_the_number_of_parts(base: Path) -> None:
    one, many = manifest.load_run(str(base / "one")), manifest.load_run(str(base / "many"))
    assert (len(_read_parts(base / "one")), len(_read_parts(base / "many")) > 6) == (2, True)
    assert _products(base / "many") == _products(base / "one") != {}
    assert (many.ledger, many.counted) == (one.ledger, one.counted)
    found = verify(str(base / "many"))
    assert (found.faults, found.uncovered) == ([], [])


def test_a_second_run_makes_no_part_again(base: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (base / "many" / "steps").rglob("*")}
    run_engine(_recipe(), base, base / "many")
    after = {path: path.stat().st_mtime_ns for path in (base / "many" / "steps").rglob("*")}
    assert {p for p in before if p.is_file() and before[p] != after.get(p)} == set()


@pytest.mark.parametrize("which", [0, 1, -1])
@pytest.mark.parametrize("ending", [".arrow", ".json"])
def test_a_damaged_part_is_made_again_with_the_others_of_its_file(
    base: Path, which: int, ending: str
) -> None:
    sound = file_bytes(base / "many")
    folder = base / "many" / manifest.load_run(str(base / "many")).passes[0].folder
    place = folder / (_read_parts(base / "many")[which].part + ending)
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    run_engine(_recipe(), base, base / "many")
    assert file_bytes(base / "many") == sound


def test_parts_that_a_file_no_longer_has_are_deleted(base: Path) -> None:
    first = next(iter(sorted((base / "data").glob("*.jsonl"))))
    first.write_text("".join(first.read_text().splitlines(keepends=True)[:3]))
    run_engine(_recipe(), base, base / "many")
    found = verify(str(base / "many"))
    assert (found.faults, found.uncovered) == ([], [])


def test_what_happened_to_a_record_of_a_later_part_is_explained(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = _read_parts(base / "many")[1:][0]
    assert last.part.endswith("-1")
    key = next(iter((base / "many" / "jsonl").glob("*.jsonl"))).read_text().split('"')[3]
    assert curate(base, "explain", "many", key) == cli.OK
    many = capsys.readouterr().out
    assert curate(base, "explain", "one", key) == cli.OK
    assert many == capsys.readouterr().out


def test_removed_rows_are_written_in_batches_and_are_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_files, "REMOVED_ROWS", 7)
    monkeypatch.setattr(batching, "BATCH_ROWS", 5)
    (tmp_path / "data").mkdir()
    texts = ['{"caption": "short"}', '{"caption": "' + "words that stay here " * 3 + '"}', "{"]
    (tmp_path / "data" / "a.jsonl").write_text("\n".join(texts * 30))
    source = {"name": "s", "reader": "table", "path": "data/*.jsonl", "text": "caption"}
    recipe = {"name": "t", "sources": [source], "steps": [{"words": {"min": 5}}]}
    run_engine(recipe, tmp_path, tmp_path / "out")
    found = {name: parts.open_part(str(path)) for path in (tmp_path / "out").rglob("*.arrow")
             for name in ("dropped", "quarantined") if f".{name}." in path.name}  # fmt: skip
    batches = {name: file.num_record_batches for name, file in found.items()}
    rows = {name: file.read_all()["id"].to_pylist() for name, file in found.items()}
    assert {name: (len(ids), len(set(ids))) for name, ids in rows.items()} == {
        "dropped": (30, 30),
        "quarantined": (30, 30),
    }
    assert batches["quarantined"] > 2
    assert verify(str(tmp_path / "out")).faults == []
