"""Real photos and captions, end to end by the command line, in every dialect of captions.

Dialects that the data do not come in are made of OpenStax's photos, by other libraries than ours.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.cli import OK
from curate.emit.read import read_shards
from tests.caption_dialects import DIALECTS, MISSING, PHOTOS, Photo, _members
from tests.runs import (
    FinishedRun,
    curate,
    image_digests,
    last_answer,
    read_run,
    run_recipe,
    sha256,
    write_recipe,
)


@pytest.fixture(scope="module")
def photos(real_data: Path) -> list[Photo]:
    """As many of each of five books; the one after the last is no image."""
    books = sorted((real_data / "captions/openstax").glob("*.captions.jsonl"))
    rows = [json.loads(line) for book in books for line in book.open().readlines()[:13]]
    taken = [
        Photo(f"{n:04d}.jpg", row["alt"], (books[0].parent / row["file"]).read_bytes())
        for n, row in enumerate(rows[: PHOTOS + 1])
    ]
    taken[-1] = taken[-1]._replace(data=MISSING)
    assert len({photo.caption for photo in taken}) == len({p.data for p in taken}) == PHOTOS + 1
    return taken


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, photos: list[Photo]) -> Path:
    """The photos as they lie in `photos`, and in every dialect."""
    base = tmp_path_factory.mktemp("real")
    (base / "photos").mkdir()
    for photo in photos:
        (base / "photos" / photo.name).write_bytes(photo.data)
    for name, (write, _, _) in DIALECTS.items():
        (base / name).mkdir()
        write(base / name, photos)
    return base


def source(dialect: str) -> dict[str, Any]:
    return {"name": dialect, "reader": dialect, "path": dialect, **DIALECTS[dialect].source}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_images_and_captions(
    base: Path, photos: list[Photo], dialect: str
) -> None:
    made = run_recipe(base, source(dialect), out=f"out-{dialect}")
    inputs = DIALECTS[dialect].count(base / dialect)
    assert inputs == PHOTOS + 1
    assert made.accounts == {
        f"read {dialect}": (inputs, PHOTOS, {}, {"MediaError": 1}),
        "write arrow": (PHOTOS, PHOTOS, {}, {}),
    }
    assert "the file is not an image: it starts with b'<html>40'" in made.quarantine[0].message
    whole = photos[:-1]
    assert {last_answer(row): image_digests(row) for row in made.rows} == {
        photo.caption: [sha256(photo.data)] for photo in whole
    }


STEPS = [
    {"words": {"min": 8, "max": 256}},
    {"character_repetition": {"n": 10, "max": 0.2}},
    {"language": {"keep": ["en"], "min_score": 0.3}},
    {"image_shape": {"min_side": 300, "max_aspect": 3}},
    {"image_decodes": {}},
    {"sample": {"share": 0.8}},
]
SHARDS = {"formats": ["arrow", "jsonl", "webdataset"], "shard_bytes": "8MB"}


@pytest.fixture(scope="module")
def everything(base: Path) -> FinishedRun:
    """All dialects in one run, through real steps, in `out`."""
    return run_recipe(base, *map(source, DIALECTS), steps=STEPS, shards=SHARDS)


def test_ray_writes_the_same_bytes_from_all_dialects_together(
    base: Path, everything: FinishedRun
) -> None:
    how = ("--workers", "2")
    made = run_recipe(
        base, *map(source, DIALECTS), out="out-ray", how=how, steps=STEPS, shards=SHARDS
    )
    assert made.manifest.digest == everything.manifest.digest
    for folder in ("shards", "jsonl", "webdataset"):
        assert contents(base / "out-ray" / folder) == contents(base / "out" / folder)


def contents(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()) for path in paths}


def test_steps_drop_the_same_photos_in_every_dialect_of_captions(
    base: Path, everything: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chats are left out: their questions count as text too. So is the sample, which is by id."""
    capsys.readouterr()
    assert curate(base, "show", "out", "--dropped", "-n", "9999", "--json") == OK
    dropped: dict[str, Counter[str]] = {dialect: Counter() for dialect in DIALECTS}
    for row in json.loads(capsys.readouterr().out):
        if row["step"] != "sample":
            dropped[row["source"]][row["reason"]] += 1
    del dropped["llava"]
    assert dropped == dict.fromkeys(dropped, dropped["webdataset"])
    assert dropped["webdataset"].keys() >= {"too few words", "image too small"}
    assert everything.accounts["image_decodes"][2:] == ({}, {})


def test_shards_open_in_datasets_decoded_and_in_plain_pyarrow(
    base: Path, everything: FinishedRun, photos: list[Photo]
) -> None:
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    shards = base / "out/shards"
    rows = datasets.load_from_disk(str(shards))
    assert rows["id"][:] == [row["id"] for row in everything.rows]
    originals: dict[str | None, bytes] = {photo.caption: photo.data for photo in photos}
    for row in rows.select(range(0, len(rows), 10)):
        original = Image.open(io.BytesIO(originals[last_answer(row)]))
        assert row["images"][0].size == original.size
        assert row["images"][0].tobytes() == original.tobytes()
    streams = [pa.ipc.open_stream(path.read_bytes()) for path in sorted(shards.glob("*.arrow"))]
    assert len(streams) > 1
    whole = pa.concat_tables(stream.read_all() for stream in streams)
    assert whole.equals(pa.concat_tables(read_shards(str(shards))))


class Corpus(NamedTuple):
    """Real data as they lie, how a recipe reads them, and what is in them."""

    source: dict[str, Any]
    inputs: Callable[[Path], int]
    quarantined: dict[str, int]
    has_captions: bool = False


def _corpus(reader: str, path: str, **settings: Any) -> dict[str, Any]:
    return {"name": "real", "reader": reader, "path": path, **settings}


def _jsonl_rows(data: Path) -> int:
    return sum(len(path.open().readlines()) for path in (data / OPENSTAX).glob("*.jsonl"))


def _coco_rows(data: Path) -> int:
    paths = (data / COCO / "annotations").glob("*captions*.json")
    return sum(len(json.loads(path.read_text())["annotations"]) for path in paths)


SKIMAGE, OPENSTAX = "captions/skimage_data", "captions/openstax"
TARS, COCO = "captions/clip_retrieval_tests/test_tars", "grounding/coco_permissive"
CURATOR = "captions/curator_tests/tests/image_data"
CORPORA = {
    "openstax": Corpus(
        _corpus("table", f"{OPENSTAX}/*.captions.jsonl", text=["caption_no_credit", "alt"],
                image="file", media_root=OPENSTAX), _jsonl_rows, {}, has_captions=True),
    "coco": Corpus(
        _corpus("coco_captions", f"{COCO}/annotations/*captions*.json",
                media_root=f"{COCO}/images"), _coco_rows, {}, has_captions=True),
    "clip_retrieval": Corpus(
        _corpus("webdataset", f"{TARS}/*.tar"), lambda data: _members(data / TARS), {}),
    "curator": Corpus(
        _corpus("webdataset", CURATOR), lambda data: _members(data / CURATOR), {}),
    "skimage": Corpus(
        _corpus("folder", SKIMAGE),
        lambda data: len([path for path in (data / SKIMAGE).rglob("*") if path.is_file()]),
        {"MediaError": 2, "RowError": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", CORPORA)
def test_real_corpora_are_read_as_they_lie_with_every_input_accounted_for(
    real_data: Path, tmp_path: Path, name: str
) -> None:
    corpus = CORPORA[name]
    inputs = corpus.inputs(real_data)
    steps = [{"sample": {"records": 60}}, {"image_decodes": {}}]
    made = ran_over(real_data, tmp_path, corpus.source, steps=steps)
    came, kept, _, quarantined = made.accounts["read real"]
    assert (came, quarantined) == (inputs, corpus.quarantined)
    assert kept == inputs - sum(quarantined.values())
    assert made.accounts["image_decodes"] == (min(60, kept), min(60, kept), {}, {})
    assert all(len(row["images"]) == 1 for row in made.rows)
    assert {last_answer(row) is not None for row in made.rows} == {corpus.has_captions}


def ran_over(data: Path, out: Path, *sources: dict[str, Any], **settings: Any) -> FinishedRun:
    """A run that starts in the folder of the real data, and writes elsewhere."""
    path = write_recipe(out, *sources, **settings)
    assert curate(data, "run", str(path), "-o", str(out / "out"), "--inline", "-q") == OK
    assert curate(data, "verify", str(out / "out")) == OK
    return read_run(out / "out")


def test_a_list_of_urls_without_images_fetches_nothing_and_names_the_places(
    real_data: Path, tmp_path: Path
) -> None:
    files = "captions/img2dataset_tests"
    table = f"{files}/test_files/test_1000.parquet"
    urls = _corpus("url_table", table, media_root=f"{files}/resize_test_image")
    made = ran_over(real_data, tmp_path, urls, max_quarantined=1000)
    assert made.accounts["read real"] == (1000, 0, {}, {"MediaError": 1000})
    url = pq.read_table(real_data / table)["URL"][0].as_py()
    sha, md5 = hashlib.sha256(url.encode()).hexdigest(), hashlib.md5(url.encode()).hexdigest()
    first = next(lost for lost in made.quarantine if lost.origin == f"{table}#0")
    assert first.message == (
        f"there is no image file for {url!r} in the folder {files}/resize_test_image: looked "
        f"for {sha}, {md5}, 170x170.jpg. curate downloads no images: copy the file to this "
        "folder, or, if the reader has the setting `file`, set it to the template of the file's "
        "name."
    )


def test_explain_shows_kept_dropped_and_quarantined_real_records(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    business = CORPORA["openstax"].source | {"path": f"{OPENSTAX}/business.captions.jsonl"}
    images = CORPORA["skimage"].source | {"name": "skimage"}
    ran_over(real_data, tmp_path, business, images, steps=[{"words": {"min": 3}}])

    def events_of(origin: str) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert curate(real_data, "explain", str(tmp_path / "out"), origin, "--json") == OK
        events: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["events"]
        return events

    kept, dropped = f"{OPENSTAX}/business.captions.jsonl#2", f"{SKIMAGE}/astronaut.png"
    broken = f"{SKIMAGE}/truncated.jpg"
    assert events_of(kept) == [
        {"step": "read real", "what": "read", "facts": {"from": kept}},
        {"step": "words", "what": "kept", "facts": {"words.count": 13, "min": 3}},
        {"step": "shards", "what": "written", "facts": {"arrow": "data-00000-of-00001.arrow"}},
    ]
    assert events_of(dropped) == [
        {"step": "read skimage", "what": "read", "facts": {"from": dropped}},
        {"step": "words", "what": "dropped",
         "facts": {"reason": "too few words", "words.count": 0, "min": 3}},
    ]  # fmt: skip
    assert events_of(broken) == [
        {"step": "read skimage", "what": "quarantined", "facts": {
            "error": "MediaError",
            "message": ".jpg file: the image is truncated: its 400 bytes end before its width and "
            "height. Put an intact "
                       "image in its place, or leave it in quarantine."}},
    ]  # fmt: skip
