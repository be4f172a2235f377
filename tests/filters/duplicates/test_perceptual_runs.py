"""Complete runs over image files: measured, compared, removed, and kept in an index."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from manifests.run import manifest
from manifests.storage import parts
from tests.filters.duplicates.outcomes import RecordOutcome, families, outcomes_of_run
from tests.runs import row_counts, run_steps, texts_read

Samples = dict[str, list[str]]
SOURCE = {"name": "chats", "reader": "llava", "path": "chats/*.jsonl", "media_root": "images"}


def painting(seed: int) -> Image.Image:
    """An image with much detail, unlike those of other seeds."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def images(folder: Path) -> None:
    """Three paintings; copies of the first: the same bytes, in poor quality, half as large and
    mirrored; and two images of one colour."""
    folder.mkdir(parents=True)
    a, b, c = map(painting, range(3))
    made = {"a": a, "b": b, "c": c, "a-again": a, "a-poor": a, "a-half": a.resize((160, 120)),
            "a-mirrored": ImageOps.mirror(a), "red": Image.new("RGB", (320, 240), "red"),
            "blue": Image.new("RGB", (300, 200), "blue")}  # fmt: skip
    for name, image in made.items():
        out = io.BytesIO()
        image.save(out, "JPEG", quality=30 if name == "a-poor" else 90)
        (folder / f"{name}.jpg").write_bytes(out.getvalue())


def chats(folder: Path, samples: Samples, files: int = 2) -> None:
    """Samples of images; each says its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(_sample(name, images)) for name, images in samples.items()]
    for number in range(files):
        (folder / f"{number}.jsonl").write_text("\n".join(lines[number::files]) + "\n")


def _sample(name: str, images: list[str]) -> dict[str, Any]:
    asked = {"role": "user", "content": "<image>" * len(images) + "what is it?"}
    answered = {"role": "assistant", "content": name.split("#")[0]}
    return {"images": [f"{image}.jpg" for image in images], "messages": [asked, answered]}


ONE_EACH: Samples = {
    name: [name]
    for name in ("a", "b", "c", "a-again", "a-poor", "a-half", "a-mirrored", "red", "blue")
} | {"red again": ["red"], "none": [], "also none": []}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    images(tmp_path / "images")
    chats(tmp_path / "chats", ONE_EACH)
    return tmp_path


def names(base: Path, out: str) -> dict[str, str]:
    """What each record says, by its id."""
    return {key: text.split("\n")[-1] for key, text in texts_read(base, out).items()}


def named(base: Path, out: str, step: str = "duplicates") -> dict[str, RecordOutcome]:
    """What a step outcomes of every record, all by name."""
    of, found = names(base, out), outcomes_of_run(base, out, step)
    return {
        of[key]: one._replace(survivor=of.get(one.survivor or ""), of=of.get(one.of or ""))
        for key, one in found.items()
    }


def test_by_image_the_same_bytes_are_duplicates_and_nothing_else(base: Path) -> None:
    made = run_steps(base, "out", {"duplicates": {"by": "image"}}, sources=[SOURCE])
    assert [a.step for a in made.ledger][1:3] == ["media_digest", "duplicates"]
    assert families(named(base, "out")) == {
        frozenset({"a", "a-again"}), frozenset({"red", "red again"}),
    }  # fmt: skip


def test_by_perceptual_copies_are_duplicates_and_blank_images_are_not(base: Path) -> None:
    made = run_steps(base, "out", {"duplicates": {"by": "perceptual"}}, sources=[SOURCE])
    assert [a.step for a in made.ledger][1:3] == ["image_hash", "duplicates"]
    found = named(base, "out")
    copies = {"a", "a-again", "a-poor", "a-half", "a-mirrored"}
    assert families(found) == {frozenset(copies)}
    assert row_counts(made)["duplicates"] == (12, 8, {"duplicate": 4}, {})
    assert not found["a-half"].stays  # it has the fewest pixels
    assert all(1 - 6 / 64 <= (found[name].similarity or 1) <= 1 for name in copies)


def test_images_and_text_together(base: Path) -> None:
    chats(
        base / "chats",
        {"said": ["a"], "said#2": ["a-poor"], "said#3": ["b"], "other": ["a"]},
    )
    for by in (["perceptual", "text"], ["perceptual", "minhash"]):
        made = run_steps(base, "out", {"duplicates": {"by": by}}, sources=[SOURCE])
        assert row_counts(made)["duplicates"] == (4, 3, {"duplicate": 1}, {})
    made = run_steps(base, "out", {"duplicates": {"by": ["image", "text"]}}, sources=[SOURCE])
    assert row_counts(made)["duplicates"] == (4, 4, {}, {})


def test_removed_images_are_in_no_shard(base: Path) -> None:
    chats(base / "chats", {"first": ["a", "b"], "second": ["a-half", "c"], "third": ["a-half"],
                           "fourth": ["red", "blue"], "fifth": ["c", "c"]})  # fmt: skip
    made = run_steps(base, "out", {"duplicate_images": {}}, sources=[SOURCE])
    assert row_counts(made)["duplicate_images"] == (5, 3, {"no image left": 2}, {})
    left = [medium["uri"] for row in _rows(base, "out", made) for medium in row["media"]]
    assert sorted(uri.rsplit("/", 1)[-1] for uri in left) == [
        "a.jpg", "b.jpg", "blue.jpg", "c.jpg", "red.jpg",
    ]  # fmt: skip
    assert made.shards["arrow"].rows == 3


def _rows(base: Path, out: str, made: manifest.RunManifest) -> list[dict[str, Any]]:
    order = next(entry for entry in made.passes if entry.kind == "order")
    paths = sorted((base / out / order.folder).glob("part-*.arrow"))
    return [row for path in paths for row in parts.read_columns(str(path)).to_pylist()]


@pytest.mark.parametrize("by", ["image", "perceptual", "sequence"])
def test_images_of_an_earlier_run_are_found_by_its_index(base: Path, by: str) -> None:
    first = run_steps(base, "first", {"duplicates": {"by": by, "index": True}}, sources=[SOURCE])
    kept = row_counts(first)["duplicates"][1]
    again = run_steps(
        base, "again", {"duplicates": {"by": by, "against": ["first"]}}, sources=[SOURCE]
    )
    blank = {"none", "also none"} | ({"red", "blue", "red again"} if by != "image" else set())
    dropped = {"in an earlier corpus": 12 - len(blank)}
    assert row_counts(again)["duplicates"] == (12, len(blank), dropped, {})
    chats(base / "new", {"copy": ["a"], "poor": ["a-poor"], "both": ["a", "b"], "red": ["red"]})
    new = {**SOURCE, "name": "new", "path": "new/*.jsonl"}
    run_steps(base, "second", {"duplicates": {"by": by, "against": ["first"]}}, sources=[new])
    found, old = named(base, "second"), named(base, "first")
    out = {name for name, one in found.items() if one.reason == "in an earlier corpus"}
    assert out == {
        "image": {"copy", "poor", "red"}, "perceptual": {"copy", "poor"},
        "sequence": {"copy", "poor", "both"},
    }[by]  # fmt: skip
    assert kept == sum(one.stays for one in old.values())


def test_survivors_and_similarities_in_an_earlier_corpus(base: Path) -> None:
    run_steps(base, "first", {"duplicates": {"by": "perceptual", "index": True}}, sources=[SOURCE])
    chats(base / "new", {"poor": ["a-poor"]}, 1)
    new = {**SOURCE, "name": "new", "path": "new/*.jsonl"}
    run_steps(
        base, "second", {"duplicates": {"by": "perceptual", "against": ["first"]}}, sources=[new]
    )
    (one,) = outcomes_of_run(base, "second").values()
    stayed = {
        key
        for key, each in outcomes_of_run(base, "first").items()
        if each.stays and each.family == 5
    }
    assert {one.survivor} == {one.of} == stayed
    assert one.family == 1  # records of the earlier corpus are not counted
    assert one.similarity is not None
    assert 1 - 6 / 64 <= one.similarity <= 1


def test_measures_of_an_earlier_step_are_reused(base: Path) -> None:
    """Two steps of one recipe measure once."""
    steps = [{"duplicates": {"by": "image"}}, {"duplicate_images": {"by": "image"}}]
    made = run_steps(base, "out", *steps, sources=[SOURCE])
    assert [a.step for a in made.ledger] == [
        "read chats", "media_digest", "duplicates", "duplicate_images", "write arrow",
    ]  # fmt: skip
