"""Photos of raccoons with the boxes that people drew: two models that answer with these boxes, a
little shifted, and with wrong ones. Agreement removes the wrong ones."""

from __future__ import annotations

import hashlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from curate.compose.grounding.parsing import parse_objects
from tests.recaption.endpoint import Answer, Asked, Endpoint
from tests.recaption.locate.finder import located
from tests.recaption.locate.locate_runs import agreement, locate, records, run
from tests.runs import last_answer, read_run

Boxes = list[list[float]]


def true_boxes(folder: Path) -> dict[str, Boxes]:
    """The boxes of each photo in thousandths, by the digest of its file."""
    found: dict[str, Boxes] = {}
    for path in sorted((folder / "annotations").glob("*.xml")):
        image = folder / "images" / f"{path.stem}.jpg"
        width, height = Image.open(image).size
        sides = (width, height) * 2
        boxes = [
            [
                1000 * int(str(box.findtext(n))) / side
                for n, side in zip(CORNERS, sides, strict=True)
            ]
            for box in ElementTree.parse(path).iter("bndbox")
        ]
        found[digest(image.read_bytes())] = [np.clip(box, 0, 1000).tolist() for box in boxes]
    return found


CORNERS = ("xmin", "ymin", "xmax", "ymax")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Annotator:
    """A model that shifts each side of a true box by up to 2 % of the box, and that adds a wrong
    box to a third of the images. Each model and each image has its own errors."""

    def __init__(self, truth: dict[str, Boxes]) -> None:
        self.truth = truth

    def __call__(self, asked: Asked) -> Answer:
        key = digest(asked.images[0])
        seed = hashlib.sha256(f"{key} {asked.body['model']}".encode()).digest()
        chance = np.random.default_rng(list(seed))
        boxes: Boxes = []
        for x1, y1, x2, y2 in self.truth[key]:
            sides = np.array([x2 - x1, y2 - y1] * 2)
            boxes.append([x1, y1, x2, y2] + chance.uniform(-0.02, 0.02, 4) * sides)
        if chance.random() < 1 / 3:
            corner = chance.uniform(0, 700, 2)
            boxes.append([*corner, *(corner + chance.uniform(50, 300, 2))])
        items = [np.clip(np.rint(box), 0, 1000).astype(int).tolist() for box in boxes]
        return located([{"bbox_2d": box, "label": "raccoon"} for box in items])


def overlap(a: list[float], b: list[float]) -> float:
    """The intersection over union, counted on a grid of whole thousandths."""
    grids = []
    for x1, y1, x2, y2 in (np.rint(a).astype(int), np.rint(b).astype(int)):
        grid = np.zeros((1000, 1000), bool)
        grid[y1:y2, x1:x2] = True
        grids.append(grid)
    return float((grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum())


def right(boxes: Boxes, truth: Boxes) -> int:
    return sum(any(overlap(box, true) >= 0.7 for true in truth) for box in boxes)


def test_agreement_removes_the_wrong_boxes_of_real_photos(
    tmp_path: Path, endpoint: Endpoint, real_data: Path
) -> None:
    folder = real_data / "grounding/raccoon"
    truth = true_boxes(folder)
    endpoint.answer = Annotator(truth)
    source = {"name": "photos", "reader": "folder", "path": str(folder / "images")}
    models = [locate(endpoint, model=name, categories=["raccoon"]) for name in ("one", "two")]
    made = run(tmp_path, *models, agreement(), sources=[source])
    alone, agreed = [0, 0], [0, 0]
    for row in records(tmp_path, made).values():
        name = Path(row["media"][0]["uri"]).name
        boxes = truth[digest((folder / "images" / name).read_bytes())]
        count(alone, [one["box"] for one in row["locate.found"]], boxes)
        count(agreed, [one["box"] for one in row["objects"]], boxes)
    total = sum(map(len, truth.values()))
    print(f"{total} boxes; right of all: one model {alone}, agreed {agreed}")
    assert alone[1] - alone[0] > 15
    assert agreed == [total, total]
    photos = []
    for setting in ("mark", "leave_out"):
        run(
            tmp_path,
            *models,
            agreement(unmatched=setting),
            {"grounding_text": {}},
            sources=[source],
        )
        rows = read_run(tmp_path / "out").rows
        photos.append(len(rows))
        for row in rows:
            boxes = truth[digest(row["images"][0]["bytes"])]
            answered = [[*one.box] for one in parse_objects(str(last_answer(row))) if one.box]
            assert right(answered, boxes) == len(answered) == len(boxes)
    print(f"photos in the shards with mark, leave_out: {photos} of {len(truth)}")
    assert photos[0] < photos[1] == len(truth)
    assert len(endpoint.asked) == 2 * len(truth)


def count(sums: list[int], boxes: Boxes, truth: Boxes) -> None:
    """Add the number of right boxes, and of all, to the sums."""
    sums[0] += right(boxes, truth)
    sums[1] += len(boxes)
