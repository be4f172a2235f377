"""Annotated images become records with coordinates in [0,1000]; every fault has its place."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curate.ingest.captions.table import Table
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.grounding_records import grounding_records
from curate.ingest.images import OpenedImage, open_image
from curate.ingest.reader import Context, ReadBatch
from manifests import record
from manifests.errors import InputError, RowError
from manifests.geometry.smart_resize import QWEN2_5_RESIZE
from manifests.geometry.space import SPACES, Space
from manifests.media import Media, Reference
from manifests.media.blobs import BlobFile
from manifests.storage import File
from tests.make import make_image

PIXELS = Space(form="xyxy", unit="pixel")
READER = Table(name="made", path="x", text="text")


def photo(folder: Path, width: int = 80, height: int = 40, orientation: int = 1) -> OpenedImage:
    """An image in a file, with a given Exif orientation."""
    image, exif, out = Image.open(io.BytesIO(make_image(width, height))), Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(out, "JPEG", exif=exif)
    place = folder / f"{width}x{height}-{orientation}.jpg"
    place.write_bytes(out.getvalue())
    opened = open_image(Reference(str(place)), Media())
    assert isinstance(opened, OpenedImage)
    return opened


def read_batch(
    samples: list[AnnotatedImage],
    space: Space = PIXELS,
    trust: bool = False,
    turned_sizes: bool = False,
) -> ReadBatch:
    context = Context("", Media(), BlobFile())
    batch = grounding_records(
        READER, File("boxes.json", "boxes.json", 1, 1), samples, space, context, trust, turned_sizes
    )
    assert batch.records.num_rows + len(batch.failures) == len(samples)
    assert batch.records.schema == record.SCHEMA
    return batch


def objects(batch: ReadBatch, row: int = 0) -> list[dict[str, Any]]:
    """The objects of a record, without null fields."""
    return [
        {name: value for name, value in one.items() if value is not None}
        for one in batch.records["objects"][row].as_py()
    ]


def test_a_record_has_everything_that_was_annotated(tmp_path: Path) -> None:
    seen = photo(tmp_path)
    annotations = [
        Annotation("cat", [8, 4, 40, 20], text="the cat", attributes={"iscrowd": 1}),
        Annotation("dog", point=[40, 10], box3d=[1, 2, 3, 4, 5, 6, 0, 0.5, 0]),
        Annotation(None, polygon=[[0, 0, 80, 0, 80, 40], [8, 8, 16, 8, 16, 16]]),
        Annotation("nothing"),
    ]
    batch = read_batch([
        AnnotatedImage("a", seen, annotations, text="A cat.",
                       meta={"licence": 3}, camera=[50, 51, 40, 20]),
        AnnotatedImage("b", seen),
    ])  # fmt: skip
    assert objects(batch) == [
        {"label": "cat", "media": 0, "box": [100, 100, 500, 500], "text": "the cat",
         "attributes": '{"iscrowd":1}'},
        {"label": "dog", "media": 0, "point": [500, 250], "box3d": [1, 2, 3, 4, 5, 6, 0, 0.5, 0]},
        {"media": 0, "polygon": [[0, 0, 1000, 0, 1000, 1000], [100, 200, 200, 200, 200, 400]]},
        {"label": "nothing", "media": 0},
    ]  # fmt: skip
    assert objects(batch, 1) == []
    first, second = batch.records.to_pylist()
    assert (first["modality"], first["origin"]) == ("grounding", "boxes.json#a")
    assert [s["kind"] for s in first["content"]] == ["image", "text"]
    assert [s["kind"] for s in second["content"]] == ["image"]
    assert first["media"][0]["camera"] == [50, 51, 40, 20]
    assert (first["meta"], second["meta"]) == ('{"licence":3}', None)


@pytest.mark.parametrize(("orientation", "box"), [
    (1, [100, 100, 500, 500]), (2, [500, 100, 900, 500]), (3, [500, 500, 900, 900]),
    (4, [100, 500, 500, 900]), (6, [500, 100, 900, 500]), (8, [100, 500, 500, 900]),
])  # fmt: skip
def test_boxes_on_the_stored_image_are_rotated_to_the_shown_one(
    tmp_path: Path, orientation: int, box: list[int]
) -> None:
    stored = Space(form="xyxy", unit="pixel", exif="stored")
    sample = AnnotatedImage(
        "a", photo(tmp_path, orientation=orientation), [Annotation("x", [8, 4, 40, 20])]
    )
    batch = read_batch([sample._replace(size=(80, 40))], stored)
    assert objects(batch)[0]["box"] == box
    assert batch.records["media"][0].as_py()[0]["orientation"] == orientation


def test_boxes_on_the_shown_image_are_not_rotated(tmp_path: Path) -> None:
    seen = photo(tmp_path, orientation=6)  # stored 80 x 40, shown 40 x 80
    batch = read_batch(
        [AnnotatedImage("a", seen, [Annotation("x", [4, 8, 20, 40])], size=(40, 80))]
    )
    assert objects(batch)[0]["box"] == [100, 100, 500, 500]


def test_coordinates_refer_to_the_size_of_the_annotated_copy(tmp_path: Path) -> None:
    batch = read_batch(
        [
            AnnotatedImage(
                "a", photo(tmp_path), [Annotation("x", [80, 40, 400, 200])], size=(800, 400)
            )
        ]
    )
    assert objects(batch)[0]["box"] == [100, 100, 500, 500]


def test_the_size_of_another_image_fails_with_a_hint_if_exif_explains_it(tmp_path: Path) -> None:
    samples = [
        AnnotatedImage("turned", photo(tmp_path, orientation=6), size=(80, 40)),
        AnnotatedImage("other", photo(tmp_path), size=(80, 60)),
        AnnotatedImage("none", photo(tmp_path), size=(0, 40)),
    ]
    faults = {f.key: f.message for f in read_batch(samples).failures}
    sizes = "the annotations refer to an image of 80 x 40, but the image file is 40 x 80 with its"
    assert f"{sizes} Exif rotation." in faults["boxes.json#turned"]
    assert faults["boxes.json#turned"].endswith(
        "The stated size is that of the image as stored. If the coordinates are on the image "
        "as stored too, set `space: xyxy pixel stored`. If they are on the image as shown, "
        "set `turned_sizes: true`. Look at one such image to find out."
    )
    assert faults["boxes.json#other"].endswith(
        "Check that the annotations belong to this image: the aspect ratios differ."
    )
    assert faults["boxes.json#none"] == (
        "the file states an image size of 0 x 40, but both numbers must be above 0"
    )


def test_each_reading_of_a_turned_size_has_a_setting_that_gives_it(tmp_path: Path) -> None:
    turned = photo(tmp_path, orientation=6)  # stored 80 x 40, shown 40 x 80
    boxes = [Annotation("x", [10, 20, 30, 40])]
    samples = [
        AnnotatedImage("turned", turned, boxes, size=(80, 40)),
        AnnotatedImage("twice as large", turned, [Annotation("x", [20, 40, 60, 80])], (160, 80)),
        AnnotatedImage("as shown", turned, boxes, size=(40, 80)),
    ]
    on_shown = read_batch(samples, turned_sizes=True)
    assert on_shown.failures == []
    assert [objects(on_shown, n)[0]["box"] for n in range(3)] == [[250, 250, 750, 500]] * 3
    on_stored = read_batch(samples[:2], Space(form="xyxy", unit="pixel", exif="stored"))
    assert on_stored.failures == []
    assert [objects(on_stored, n)[0]["box"] for n in range(2)] == [[0, 125, 500, 375]] * 2
    resized = Space(form="xyxy", unit="pixel", resized=QWEN2_5_RESIZE)
    [failure] = read_batch(samples[:1], resized).failures
    assert "set `exif: stored` in `space`. If they" in failure.message


@pytest.mark.parametrize(("annotation", "fault"), [
    (Annotation("x", box=[1, 2, 3]), "object 1: [1, 2, 3] is not 4 numbers"),
    (Annotation("x", box=["a", 2, 3, 4]), "is not 4 numbers"),  # type: ignore[list-item]
    (Annotation("x", box="1234"), "object 1: '1234' is not 4 numbers"),  # type: ignore[arg-type]
    (Annotation("x", box=[None, 2, 3, 4]), "is not 4 numbers"),  # type: ignore[list-item]
    (Annotation("x", box=5), "object 1: 5 is not 4 numbers"),  # type: ignore[arg-type]
    (Annotation("x", point=[1]), "object 1: [1] is not 2 numbers"),
    (Annotation("x", polygon=[[1, 2, 3]]), "is not rings of x y x y ..."),
    (Annotation("x", polygon=[[1, 2, 3], [4]]), "is not rings of x y x y ..."),
    (Annotation("x", polygon=[[[1, 2], [3, 4]]]), "is not rings of x y"),  # type: ignore[list-item]
    (Annotation("x", box=[[1], [2], [3], [4]]), "is not 4 numbers"),  # type: ignore[list-item]
    (Annotation("x", polygon=["ab"]), "is not rings of x y x y ..."),  # type: ignore[list-item]
    (Annotation("x", box=[float("nan"), 2, 3, 4]), "[nan, 2, 3, 4] are impossible on an image"),
    (Annotation("x", box=[1, 2, float("inf"), 4]), "are impossible on an image of 80 x 40"),
    (Annotation("x", box=[9000, 2, 9001, 4]), "[9000, 2, 9001, 4] are impossible on an image"),
    (Annotation("x", box=[40, 2, 3, 4]), "in the coordinate space 'xyxy pixel'"),
    (Annotation("x", point=[900, 2]), "[900, 2] are impossible on an image"),
    (Annotation("x", polygon=[[1, 2, 3, 4, 900, 6]]), "[900, 6] are impossible on an image"),
])  # fmt: skip
def test_malformed_coordinates_fail_their_image_alone(
    tmp_path: Path, annotation: Annotation, fault: str
) -> None:
    seen, good = photo(tmp_path), Annotation("x", [8, 4, 40, 20], [1, 2])
    samples = [AnnotatedImage(n, seen, [good, good]) for n in range(12)]
    samples[5] = AnnotatedImage(5, seen, [good, annotation])
    batch = read_batch(samples)
    assert [f.key for f in batch.failures] == ["boxes.json#5"]
    assert fault in batch.failures[0].message
    assert [r.rpartition("#")[2] for r in batch.records["origin"].to_pylist()] == [
        str(n) for n in range(12) if n != 5
    ]


def test_coordinates_that_contradict_the_space_stop_the_file_unless_trusted(
    tmp_path: Path,
) -> None:
    seen = photo(tmp_path)
    samples = [
        AnnotatedImage(f"row{n}", seen, [Annotation("x", [60, 20, 10, 10])]) for n in range(9)
    ]
    with pytest.raises(InputError, match=r"boxes\.json: 9 of 9 boxes .* row0, .* 'xywh pixel'"):
        read_batch(samples)
    assert len(read_batch(samples, trust=True).failures) == 9
    assert read_batch(samples, SPACES["coco"]).failures == []


def test_an_image_that_does_not_open_is_a_failure(tmp_path: Path) -> None:
    batch = read_batch(
        [AnnotatedImage("a", RowError("no such file")), AnnotatedImage("b", photo(tmp_path))]
    )
    assert [(f.key, f.error, f.message) for f in batch.failures] == [
        ("boxes.json#a", "RowError", "no such file")
    ]
    assert read_batch([]).records.num_rows == 0
