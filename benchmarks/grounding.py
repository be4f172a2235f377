"""Million boxes a CPU second of coordinates and steps on objects: `python -m benchmarks.grounding`.

A million boxes as COCO has them (x y width height in pixels) on 125,000 images of 8 objects, in
batches of 8192 records. Each work stands beside one raw pass: numbers of the same boxes times a
number. CPU time of one process; best of three.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from PIL import Image

from benchmarks.run_step import run_step
from benchmarks.text_steps import rate
from curate.compose.grounding.counting import Counting
from curate.compose.grounding.grounding_text import GroundingText
from curate.ingest.grounding.annotations.space_check import (
    Coordinates,
    is_impossible,
    space_evidence,
)
from curate.ingest.grounding.coco_instances import Coco
from curate.ingest.reader import Context, ReadBatch
from filters.objects.box_duplicates import BoxDuplicates
from filters.objects.box_points import BoxPoints
from filters.objects.boxes import Boxes
from filters.objects.boxes_3d import Boxes3d
from filters.objects.count_agreement import CountAgreement
from filters.objects.labels import Labels
from filters.objects.masks import Masks
from filters.objects.object_count import ObjectCount
from filters.objects.virtual_camera import VirtualCamera
from manifests import record
from manifests.geometry.camera import with_cameras
from manifests.geometry.space import SPACES, boxes_to_units
from manifests.media import Media
from manifests.media.blobs import BlobFile
from manifests.record.objects import edit_objects, flat_objects, objects_column, to_lists
from manifests.step import ReshapeStep, RowStep

RECORDS, OBJECTS, BATCH_RECORDS = 125_000, 8, 8192
LABELS, CORNERS = 1203, 12
"""Labels of LVIS; corners of an outline."""
SIDES = np.array([[640, 480], [480, 640], [640, 427], [500, 375], [1920, 1080]], np.float64)
COCO = SPACES["coco"]


class Made(NamedTuple):
    """Boxes (n, 4) as COCO has them, the sizes (n, 2) of their images, and their records."""

    boxes: np.ndarray
    sizes: np.ndarray
    rows: np.ndarray


def made(records: int = RECORDS, seed: int = 29) -> Made:
    """Boxes of log-normal sizes; of every hundred one reaches out of its image and one is the
    box before it, drawn again."""
    draw = np.random.default_rng(seed)
    rows = np.repeat(np.arange(records), OBJECTS)
    sizes = SIDES[draw.integers(0, len(SIDES), records)][rows]
    sides = np.clip(draw.lognormal(-1.8, 1, (len(rows), 2)), 0.002, 1) * sizes
    corners = draw.random((len(rows), 2)) * (sizes - sides)
    out = draw.random(len(rows)) < 0.01
    corners[out, 0] = sizes[out, 0] - 0.7 * sides[out, 0]
    boxes = np.concatenate([corners, sides], axis=1)
    again = np.flatnonzero(draw.random(len(rows)) < 0.01)
    boxes[again] = boxes[again - 1] + draw.normal(0, 0.2, (len(again), 4))
    return Made(np.round(boxes, 2), sizes, rows)


def batches(of: Made, polygons: bool = False) -> list[pa.Table]:
    """Records of the boxes, of an outline of each instead where `polygons`."""
    units = boxes_to_units(of.boxes, of.sizes, COCO)
    found = []
    for start in range(0, RECORDS, BATCH_RECORDS):
        here = slice(start * OBJECTS, (start + BATCH_RECORDS) * OBJECTS)
        found.append(batch(units[here], of.sizes[here], start, polygons))
    return found


def batch(units: np.ndarray, sizes: np.ndarray, start: int, polygons: bool) -> pa.Table:
    records = len(units) // OBJECTS
    keys = [str(start + n) for n in range(records)]
    names = pa.array(keys)
    width, height = (pa.array(sizes[::OBJECTS, n].astype(np.int32)) for n in (0, 1))
    images = record.ImageColumns(uri=names, width=width, height=height)
    table = record.captions("made", keys, names, pa.nulls(records, pa.string()), images)
    fields = {"polygon": outlines(units)} if polygons else {"box": to_lists(units)}
    return table.set_column(
        table.schema.get_field_index("objects"),
        "objects",
        objects_column(
            np.full(records, OBJECTS),
            label=labels(len(units)),
            media=pa.array(np.zeros(len(units), np.int32)),
            **fields,
        ),
    )


def labels(many: int) -> pa.Array:
    """Zipf-distributed labels of one or two words."""
    draw = np.random.default_rng(7)
    chances = 1 / np.arange(1, LABELS + 1)
    codes = draw.choice(LABELS, many, p=chances / chances.sum())
    names = pa.array([f"thing_{n}" if n % 3 else f"Kind of {n}" for n in range(LABELS)])
    return names.take(pa.array(codes))


def outlines(units: np.ndarray) -> pa.Array:
    """An ellipse of some corners in each box."""
    turn = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    middle, half = (units[:, :2] + units[:, 2:]) / 2, (units[:, 2:] - units[:, :2]) / 2
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    places = middle[:, None, :] + half[:, None, :] * circle
    flat = pa.array(places.astype(np.float32).reshape(-1))
    rings = pa.ListArray.from_arrays(np.arange(len(units) + 1, dtype=np.int32) * 2 * CORNERS, flat)
    return pa.ListArray.from_arrays(np.arange(len(units) + 1, dtype=np.int32), rings)


STEPS: dict[str, RowStep] = {
    "boxes": Boxes(),
    "boxes, min_pixels, max_share": Boxes(min_pixels=4, max_share=0.9),
    "box_duplicates": BoxDuplicates(),
    "box_points": BoxPoints(),
    "box_points, boxes: replace": BoxPoints(boxes="replace"),
    "labels": Labels(fold=True, rename={"thing 1": "person"}, drop=("thing 2",)),
    "object_count": ObjectCount(min=1, of="boxes"),
    "count_agreement": CountAgreement(),
}
OF_POLYGONS: dict[str, RowStep] = {"boxes": Boxes(), "masks": Masks()}


def main() -> None:
    whole = made()
    many = len(whole.boxes)
    raw = rate(lambda: whole.boxes * 1.5625, many)
    units = boxes_to_units(whole.boxes, whole.sizes, COCO)
    numbers, names = Coordinates(*whole), [str(n) for n in range(RECORDS)]

    def show(name: str, work: Callable[[], object]) -> None:
        found = rate(work, many)
        print(f"{name:40}{found / 1e6:12.2f}{raw / found:14.1f}")

    print(f"{many:,} boxes on {RECORDS:,} images\n")
    print(f"{'work':40}{'M boxes/CPU-s':>14}{'raw passes':>12}")
    show("raw pass (boxes * a number)", lambda: whole.boxes * 1.5625)
    show("boxes_to_units, of xywh pixel", lambda: boxes_to_units(whole.boxes, whole.sizes, COCO))
    show("check", lambda: space_evidence(numbers, COCO, "made", names))
    show("impossible", lambda: is_impossible(units))
    per_record = np.full(RECORDS, OBJECTS)
    show("objects_column, to_lists", lambda: objects_column(per_record, box=to_lists(units)))
    for title, of, steps in (
        ("boxes", batches(whole), STEPS),
        (f"polygons of {CORNERS} corners", batches(whole, polygons=True), OF_POLYGONS),
    ):
        print(f"\nsteps on {title}")
        show("(flat_objects, in each)", partial(every, lambda b: flat_objects(b["objects"]), of))
        for name, row_step in steps.items():
            show(name, partial(every, partial(run_step, row_step, media=Media()), of))
    print("\nfewer of them, M/CPU-s")
    few = [one.slice(0, 2048) for one in batches(whole)[:4]]
    smaller: dict[str, tuple[RowStep | ReshapeStep, list[pa.Table]]] = {
        "masks, of RLE (64 x 64)": (Masks(), run_lengths()),
        "boxes_3d": (Boxes3d(), [solids(few[0], None)]),
        "boxes_3d, with attributes": (Boxes3d(), [solids(few[0], SEEN)]),
        "virtual_camera": (VirtualCamera(), [solids(few[0], None)]),
        "grounding_text, objects": (GroundingText(), few),
        "counting, objects": (Counting(), few),
    }
    for name, (step, some) in smaller.items():
        objects = sum(one.num_rows for one in some) * OBJECTS
        found = rate(partial(every, partial(run_step, step, media=Media()), some), objects)
        print(f"{name:40}{found / 1e6:12.3f}")
    print(f"{'coco, annotations of a file':40}{coco_rate() / 1e6:12.3f}")


SEEN = orjson.dumps({"visibility": 0.9, "truncation": 0.1, "behind_camera": False}).decode()


def solids(some: pa.Table, attributes: str | None) -> pa.Table:
    """The records with a 3D box an object in front of a camera, and what is annotated of it."""
    many, draw = some.num_rows * OBJECTS, np.random.default_rng(37)
    centres = np.stack([draw.uniform(-2, 2, many), draw.uniform(-1, 1, many),
                        draw.uniform(5, 30, many)], axis=1)  # fmt: skip
    boxes = np.concatenate([centres, draw.uniform(0.5, 2, (many, 3)), np.zeros((many, 3))], axis=1)
    cameras = np.tile([500.0, 500.0, 320.0, 240.0], (some.num_rows, 1))
    boxes_3d = {"box3d": to_lists(boxes), "attributes": pa.array([attributes] * many, pa.string())}
    columns = {
        "objects": edit_objects(some["objects"], np.ones(many, bool), **boxes_3d),
        "media": with_cameras(some["media"], cameras),
    }
    for name, values in columns.items():
        some = some.set_column(some.schema.get_field_index(name), name, values)
    return some


def coco_rate(images: int = 200, annotations: int = 500) -> float:
    """Annotations a CPU second of a file in COCO's form, its images opened for their headers."""
    split = {
        "images": [
            {"id": n, "file_name": "a.jpg", "width": 64, "height": 64} for n in range(images)
        ],
        "annotations": [
            {"id": n, "image_id": n % images, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0}
            for n in range(images * annotations)
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.json").write_bytes(orjson.dumps(split))
        Image.new("RGB", (64, 64)).save(Path(folder, "a.jpg"))
        reader = Coco(name="coco", path="a.json", trust=True)
        return rate(lambda: everything(reader, folder), images * annotations)


def everything(reader: Coco, folder: str) -> list[ReadBatch]:
    """All that a reader finds below a folder."""
    context = Context(folder, Media(folder), BlobFile())
    return [
        found
        for file in reader.list_files(folder)
        for split in reader.splits(file, context)
        for found in reader.read(split, context)
    ]


def run_lengths(masks: int = 20_000, side: int = 64, seed: int = 31) -> list[pa.Table]:
    """A record of 8 masks as COCO's crowds have them, discs of random size; over and over."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    masks_json = []
    for radius in draw.uniform(4, side / 2, 50):
        disc = (x - side / 2) ** 2 + (y - side / 2) ** 2 < radius**2
        masks_json.append(
            orjson.dumps({"rle": {"size": [side, side], "counts": runs(disc)}}).decode()
        )
    attributes = pa.array(masks_json).take(pa.array(draw.integers(0, 50, masks)))
    counts = np.full(masks // OBJECTS, OBJECTS)
    nowhere = pa.array([[]] * len(counts), record.SCHEMA.field("media").type)
    column = objects_column(counts, attributes=attributes)
    return [pa.table({"objects": column, "media": nowhere})]


def runs(mask: np.ndarray) -> list[int]:
    """The run lengths of a mask, down the columns."""
    flat = np.concatenate([[False], mask.T.reshape(-1)])
    edges = np.flatnonzero(np.diff(flat))
    found: list[int] = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
    return found


def every(work: Callable[[pa.Table], object], some: list[pa.Table]) -> list[object]:
    return [work(one) for one in some]


if __name__ == "__main__":
    main()
