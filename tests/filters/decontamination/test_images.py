"""Images of benchmarks are found by perceptual hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.decontamination.benchmarks import Benchmark
from filters.decontamination.matching import images as matching
from filters.image.image_hash import hash_images
from filters.image.perceptual.phash import SIDE
from manifests.errors import InputError
from manifests.examples.items import items_of
from manifests.media import Media
from manifests.step import Images
from tests.filters.decontamination.benchmarks import (
    PADDING,
    QUESTIONS,
    STAYS,
    encoded,
    image,
    image_list,
    jsonl,
    step,
)
from tests.filters.rows import answers, error_kinds, media_records, text_records


def struct(data: bytes) -> dict[str, Any]:
    return {"bytes": data, "path": "not-there.jpg"}


@pytest.mark.parametrize(
    ("ending", "value"),
    [
        ("jsonl", "../0.jpg"),
        ("jsonl", encoded(image(400, 300, 0))),
        ("tsv", encoded(image(400, 300, 0, "PNG"))),
        ("jsonl", "data:image/jpeg;base64," + encoded(image(400, 300, 0))),
        ("jsonl", ["../0.jpg", None, {"path": "../1.jpg"}]),
        ("parquet", image(400, 300, 0)),
        ("parquet", struct(image(400, 300, 0))),
        ("parquet", [struct(image(400, 300, 1)), struct(image(400, 300, 0))]),
        ("parquet", {"bytes": None, "path": "../0.jpg"}),
    ],
)
def test_images_in_tables_are_found(images: Path, ending: str, value: Any) -> None:
    path = images / "b" / f"b.{ending}"
    path.parent.mkdir()
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist([{"id": "one", "image": value}]), path)
    elif ending == "tsv":
        path.write_text(f"id\timage\none\t{value}\n")
    else:
        jsonl(path, {"id": "one", "image": value})
    step_ = step({"name": "b", "path": f"b/b.{ending}", "image": "image", "id": "id"})
    batch = media_records(image_list("2.jpg"), image_list("small.png"), image_list())
    found = answers(step_, batch, Media(str(images), side=SIDE))
    assert found["item"] == [None, "one", None]
    assert found["drop"] == [STAYS, "benchmark image", STAYS]
    assert found["overlap"] == [None] * 3


@pytest.mark.parametrize("tile", [1, 4096])
def test_the_nearest_image_is_named_wherever_it_is_listed(
    images: Path, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_TILE", tile)
    names = ["flat.png", "1.jpg", "0.jpg", "small.png", "0.jpg", "2.jpg"]
    jsonl(images / "b.jsonl", *({"i": name} for name in names))
    step_ = step({"name": "b", "path": "b.jsonl", "image": "i"}, distance=31)
    batch = media_records(image_list("0.jpg"), image_list("2.jpg"), image_list("1.jpg"))
    found = answers(step_, batch, Media(str(images), side=SIDE))
    assert found["item"] == ["b.jsonl#3", "b.jsonl#6", "b.jsonl#2"]
    assert found["similarity"] == [1, 1, 1]


def test_a_path_is_not_taken_for_an_image_in_base64(tmp_path: Path) -> None:
    jsonl(tmp_path / "b.jsonl", {"i": "/9j/a.jpg"}, {"i": "R0lGODlh/a.gif"})
    found = items_of(Benchmark(name="b", path="b.jsonl", image="i"), f"{tmp_path}/b.jsonl")
    assert [item.images for item in found] == [
        ["/9j/a.jpg"],
        [f"{tmp_path}/R0lGODlh/a.gif"],
    ]


def test_every_image_of_a_record_is_compared_mirrored_or_not(images: Path) -> None:
    (images / "bench").mkdir()
    for n in (1, 0):
        (images / "bench" / f"{n}.webp").write_bytes(image(400, 300, n, "WEBP"))
    step_ = step({"name": "b", "path": "bench"})
    batch = media_records(
        image_list("2.jpg", "3.jpg"),
        image_list("2.jpg", "mirrored.png"),
        [{"kind": "video", "uri": "none.mp4"}],
        image_list("1.jpg", "0.jpg"),
        image_list("flat.png"),
    )
    found = answers(step_, batch, Media(str(images), side=SIDE))
    assert found["item"] == [None, "0.webp", None, found["item"][3], None]
    assert found["drop"] == [STAYS, "benchmark image", STAYS, "benchmark image", STAYS]
    assert found["similarity"][1] >= 1 - 6 / 64
    assert found["similarity"][0] is None
    everything = step({"name": "b", "path": "bench"}, distance=31)
    found = answers(everything, batch, Media(str(images), side=SIDE))
    assert found["drop"][0] == "benchmark image"
    assert found["similarity"][0] < 1 - 6 / 64


def test_an_undecodable_image_quarantines_its_record_unless_the_text_decides(
    images: Path,
) -> None:
    jsonl(images / "b.jsonl", {"q": QUESTIONS[0], "image": "0.jpg"})
    (images / "broken.jpg").write_bytes(b"no image")
    step_ = step({"name": "b", "path": "b.jsonl", "text": "q", "image": "image"})
    batch = text_records(QUESTIONS[0], PADDING)
    media = media_records(image_list("broken.jpg"), image_list("broken.jpg"))["media"]
    batch = batch.set_column(batch.schema.get_field_index("media"), "media", media)
    found = answers(step_, batch, Media(str(images), side=SIDE))
    assert found["drop"] == ["benchmark text", STAYS]
    assert found["error"][0] is None
    assert found["error"][1].startswith("broken.jpg: ")
    assert error_kinds(step_, batch, Media(str(images), side=SIDE)) == [None, "MediaError"]


def test_images_are_read_only_if_a_benchmark_may_have_some() -> None:
    imaged = [
        {"path": "b"},
        {"path": "b.json", "image": "i"},
        {"path": "b/*", "text": "q", "image": "i"},
    ]
    textual = [{"path": "b.txt"}, {"path": "b.txt.gz"}, {"path": "b", "text": "q"}]
    assert {step({"name": "b", **one}).images() for one in imaged} == {Images(SIDE)}
    assert {step({"name": "b", **one}).images() for one in textual} == {None}
    assert "media" in step({"name": "b", **imaged[0]}).reads()
    assert step({"name": "b", **textual[0]}).reads() == ("content",)


def test_hashes_of_an_earlier_step_are_used(images: Path) -> None:
    step_ = step({"name": "b", "path": "0.jpg"})
    reuses = step_.model_copy(update={"hashes": "image_hash"})
    batch = media_records(image_list("0.jpg"), image_list("2.jpg", "0.jpg"))
    hashed = hash_images(batch["media"], Media(str(images), side=SIDE))
    columns = {"hash": hashed.hash, "mirror": hashed.mirror}
    known = media_records(image_list("gone.jpg"), image_list("gone.jpg", "gone.jpg"))
    for name, column in columns.items():
        known = known.append_column(f"image_hash.{name}", column)
    opened = Media(str(images), side=SIDE)
    assert answers(reuses, known, opened) == answers(step_, batch, opened)
    assert None not in answers(step_, known, opened)["error"]
    nulls = pa.array([None, None], pa.list_(pa.uint64()))
    for name in columns:
        at = known.schema.get_field_index(f"image_hash.{name}")
        known = known.set_column(at, f"image_hash.{name}", nulls)
    assert None not in answers(reuses, known, opened)["error"]


@pytest.mark.parametrize("value", ["gone.jpg", encoded(b"x" * 60), encoded(image(64, 48, 0)[:900])])
def test_an_undecodable_image_of_a_benchmark_is_an_error(images: Path, value: str) -> None:
    jsonl(images / "b.jsonl", {"i": "0.jpg"}, {"i": value})
    step_ = step({"name": "b", "path": "b.jsonl", "image": "i"})
    with pytest.raises(InputError, match=r"b.jsonl#2: an image of this item cannot be read: "):
        answers(step_, media_records(image_list("1.jpg")), Media(str(images), side=SIDE))
