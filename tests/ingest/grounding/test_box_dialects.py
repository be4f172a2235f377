"""The same photos and boxes in every dialect, read by the command line, give the same records."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.storage import parts
from tests.runs import run_recipe

PHOTOS = 12


class Photo(NamedTuple):
    """A photo, and its boxes as edges in pixels."""

    path: Path
    width: int
    height: int
    boxes: list[list[int]]

    @property
    def name(self) -> str:
        return self.path.name

    def shares(self) -> Iterator[list[float]]:
        for x1, y1, x2, y2 in self.boxes:
            yield [x1 / self.width, y1 / self.height, x2 / self.width, y2 / self.height]


@pytest.fixture(scope="module")
def photos(real_data: Path) -> list[Photo]:
    """Photos of raccoons, two with two boxes. Pixels in their table are numbered from 1."""
    folder = real_data / "grounding/raccoon"
    found: dict[str, Photo] = {}
    with (folder / "data/raccoon_labels.csv").open() as lines:
        for row in csv.DictReader(lines):
            size = int(row["width"]), int(row["height"])
            path = folder / "images" / row["filename"]
            photo = found.setdefault(row["filename"], Photo(path, *size, []))
            first = [int(row["xmin"]) - 1, int(row["ymin"]) - 1]
            photo.boxes.append([*first, int(row["xmax"]), int(row["ymax"])])
    there = sorted(photo for photo in found.values() if photo.path.exists())
    return sorted(there, key=lambda photo: -len(photo.boxes))[:PHOTOS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, photos: list[Photo]) -> Path:
    base = tmp_path_factory.mktemp("dialects")
    (base / "photos").mkdir()
    for photo in photos:
        shutil.copy(photo.path, base / "photos")
    return base


def _voc(base: Path, photos: list[Photo]) -> None:
    for photo in photos:
        objects = "".join(
            f"<object><name>raccoon</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for x1, y1, x2, y2 in photo.boxes
        )
        text = f"<annotation><filename>{photo.name}</filename>{objects}</annotation>"
        (base / f"{photo.path.stem}.xml").write_text(text)


def _flickr(base: Path, photos: list[Photo]) -> None:
    (base / "Annotations").mkdir()
    (base / "Sentences").mkdir()
    _voc(base / "Annotations", photos)
    for photo in photos:
        path = base / f"Annotations/{photo.path.stem}.xml"
        path.write_text(path.read_text().replace(">raccoon<", ">7<"))
        sentence = "[/EN#7/raccoon A raccoon] looks at us .\n"
        (base / f"Sentences/{photo.path.stem}.txt").write_text(sentence)


def _yolo(base: Path, photos: list[Photo]) -> None:
    for photo in photos:
        rows = [[(a + c) / 2, (b + d) / 2, c - a, d - b] for a, b, c, d in photo.shares()]
        lines = [" ".join(map(str, [0, *row])) for row in rows]
        (base / f"{photo.path.stem}.txt").write_text("\n".join(lines))
    (base / "classes.txt").write_text("raccoon\n")


def _labelme(base: Path, photos: list[Photo]) -> None:
    for photo in photos:
        shapes = [
            {"label": "raccoon", "shape_type": "rectangle", "points": [box[2:], box[:2]]}
            for box in photo.boxes
        ]
        data = base64.b64encode(photo.path.read_bytes()).decode()
        content = {"shapes": shapes, "imagePath": "x.jpg", "imageData": data}
        (base / f"{photo.path.stem}.json").write_text(json.dumps(content))


def _boxes_table(base: Path, photos: list[Photo]) -> None:
    rows = [
        {"image": {"bytes": photo.path.read_bytes(), "path": photo.name},
         "objects": {"bbox": [[a, b, c - a, d - b] for a, b, c, d in photo.boxes],
                     "category": ["raccoon"] * len(photo.boxes)}}
        for photo in photos
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), base / "a.parquet", row_group_size=5)


def _grit(base: Path, photos: list[Photo]) -> None:
    rows = [
        {"key": photo.path.stem, "caption": "A raccoon .", "width": photo.width,
         "height": photo.height, "ref_exps": [[2.0, 9.0, *box, 0.9] for box in photo.shares()]}
        for photo in photos
    ]  # fmt: skip
    (base / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))


def _screenspot(base: Path, photos: list[Photo]) -> None:
    """A row for each box, so an image may be in several rows."""
    rows = [
        {"img_filename": photo.name, "bbox": [a, b, c - a, d - b], "instruction": "raccoon",
         "data_type": "raccoon"}
        for photo in photos for a, b, c, d in photo.boxes
    ]  # fmt: skip
    (base / "a.json").write_text(json.dumps(rows))


class Dialect(NamedTuple):
    """How its files are written, and its settings besides name and path."""

    write: Callable[[Path, list[Photo]], None]
    source: dict[str, Any]


BELOW = {"media_root": "photos"}
DIALECTS = {
    "voc": Dialect(_voc, BELOW),
    "flickr30k_entities": Dialect(_flickr, BELOW | {"path": "flickr30k_entities/Annotations"}),
    "yolo": Dialect(_yolo, BELOW),
    "labelme": Dialect(_labelme, {}),
    "boxes_table": Dialect(_boxes_table, {
        "space": "xywh pixel",
        "objects": {"field": "objects", "box": "bbox", "label": "category"}}),
    "grit": Dialect(_grit, BELOW),
    "screenspot": Dialect(_screenspot, BELOW),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_the_same_boxes(base: Path, photos: list[Photo], name: str) -> None:
    (base / name).mkdir()
    DIALECTS[name].write(base / name, photos)
    source = {"name": "a", "reader": name, "path": name, **DIALECTS[name].source}
    made = run_recipe(base, source, out=f"out-{name}")
    rows = sum(len(p.boxes) for p in photos) if name == "screenspot" else len(photos)
    assert made.accounts["read a"] == (rows, rows, {}, {})
    paths = (base / f"out-{name}/steps").glob("00-a-*/*.arrow")
    tables = [parts.read_columns(str(path), ("media", "objects")) for path in paths]
    found = pa.concat_tables(tables).to_pylist()
    boxes = sorted(
        (row["media"][0]["width"], row["media"][0]["height"], one["label"], *one["box"])
        for row in found for one in row["objects"]
    )  # fmt: skip
    expected = sorted(
        (photo.width, photo.height, "raccoon", *(1000 * share for share in box))
        for photo in photos for box in photo.shares()
    )  # fmt: skip
    assert [one[:3] for one in boxes] == [one[:3] for one in expected]
    assert [one[3:] for one in boxes] == [pytest.approx(one[3:], abs=1e-3) for one in expected]
