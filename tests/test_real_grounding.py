"""Real annotations of images, end to end by the command line, on Ray and in one process.

The screenshots are real too; their boxes and instructions were made for these tests.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.cli import OK
from curate.compose.grounding.parsing import parse_objects
from tests.runs import FinishedRun, curate, last_answer, read_run, run_recipe

RECIPE = Path(__file__).resolve().parents[1] / "recipes/grounding.yaml"
SCREENS = [
    ("computer_use2.jpeg", [2038, 130, 424, 64], "create an issue"),
    ("computer_use2.jpeg", [198, 14, 640, 64], "search in GitLab"),
    ("computer_use2.jpeg", [1766, 250, 376, 64], "subscribe to the feed"),
    ("computer_use1.jpeg", [1789, 1334, 77, 24], "configure the build"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Path:
    """A folder in which the recipe was run over the real files."""
    folder, data = tmp_path_factory.mktemp("grounding"), real_data / "grounding"
    rows = [
        {"img_filename": name, "bbox": box, "instruction": instruction, "data_type": "text"}
        for name, box, instruction in SCREENS
    ]
    (folder / "data/screens").mkdir(parents=True)
    (folder / "data/screens/desktop.json").write_text(json.dumps(rows))
    links = {
        "data/coco": data / "coco_permissive",
        "data/screens/images": data / "qwen_spatial/cookbooks/assets/computer_use",
        "data/voc/Annotations": data / "raccoon/annotations",
        "data/voc/JPEGImages": data / "raccoon/images",
    }
    for name, place in links.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(place)
    assert curate(folder, "run", str(RECIPE), "-o", "out", "-q", "--inline") == OK
    return folder


@pytest.fixture(scope="module")
def made(base: Path) -> FinishedRun:
    return read_run(base / "out")


def coco(base: Path) -> dict[str, dict[str, Any]]:
    """The content of the files, by name."""
    files = sorted((base / "data/coco/annotations").glob("*instances*.json"))
    return {f"data/coco/annotations/{file.name}": json.loads(file.read_text()) for file in files}


def test_every_image_is_accounted_for_and_duplicates_are_named(
    base: Path, made: FinishedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    images = sum(len(split["images"]) for split in coco(base).values())
    assert made.accounts["read coco"] == (images, images, {}, {})
    assert made.accounts["read voc"] == (59, 59, {}, {})
    assert made.accounts["read screens"] == (len(SCREENS), len(SCREENS), {}, {})
    assert made.accounts["duplicates"] == (images + 63, images + 61, {"duplicate": 2}, {})
    assert curate(base, "verify", "out") == OK
    capsys.readouterr()
    assert curate(base, "show", "out", "--dropped", "--json") == OK
    dropped = json.loads(capsys.readouterr().out)
    assert {Path(row["origin"]).stem for row in dropped} == {"raccoon-21", "raccoon-50"}
    assert curate(base, "explain", "out", dropped[0]["id"]) == OK
    assert "survivor     id" in capsys.readouterr().out


def test_boxes_are_those_of_the_files(base: Path, made: FinishedRun) -> None:
    there: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    for name, split in coco(base).items():
        sizes = {one["id"]: (one["width"], one["height"]) for one in split["images"]}
        labels = {one["id"]: one["name"].lower() for one in split["categories"]}
        for one in split["annotations"]:
            x, y, width, height = one["bbox"]
            corners = np.array([x, y, x + width, y + height])
            key = f"{name}#{one['image_id']}", labels[one["category_id"]]
            there[key].append(1000 * corners / np.tile(sizes[one["image_id"]], 2))
    annotated = sum(map(len, there.values()))
    parents = {row["origin"]: row for row in made.rows if row["source"] == "coco"}
    for origin, row in parents.items():
        for one in row["objects"]:
            left = there[origin, one["label"]]
            far = [abs(one["box"] - box).max() for box in left]
            assert min(far) < 0.1, (origin, one)  # clipping may move a side on the border
            left.pop(int(np.argmin(far)))
    assert sum(map(len, there.values())) < 0.05 * annotated  # dropped: too small, or a duplicate


def test_every_answer_parses_to_objects_of_its_record(made: FinishedRun) -> None:
    answers = 0
    for row in made.rows:
        known = Counter(
            (one["label"], *(round(number) for number in one["box"])) for one in row["objects"]
        )
        for message in row["messages"]:
            for item in message["content"]:
                if message["role"] == "assistant" and "bbox_2d" in item["text"]:
                    answers += 1
                    parsed = Counter(
                        (one.label, *(one.box or ())) for one in parse_objects(item["text"])
                    )
                    assert parsed <= known, row["origin"]
    assert answers > len(made.rows) / 2


def test_an_instruction_on_a_screen_is_answered_with_its_element(made: FinishedRun) -> None:
    screens = [row for row in made.rows if row["source"] == "screens"]
    answers = {
        tuple(one.box or ()) for row in screens for one in parse_objects(last_answer(row) or "")
    }  # fmt: skip
    sizes = {"computer_use1.jpeg": (3456, 2160), "computer_use2.jpeg": (2560, 1440)}
    assert answers == {
        (
            round(1000 * x / sizes[name][0]),
            round(1000 * y / sizes[name][1]),
            round(1000 * (x + w) / sizes[name][0]),
            round(1000 * (y + h) / sizes[name][1]),
        )
        for name, (x, y, w, h), _ in SCREENS
    }
    asked = {item["text"] for row in screens for item in row["messages"][0]["content"]}
    for _, _, instruction in SCREENS:
        assert any(instruction in text for text in asked if text), instruction


def test_ray_writes_the_same_bytes(base: Path) -> None:
    run = ["run", str(RECIPE), "-o", "ray", "-q", "--workers", "2"]
    assert curate(base, *run) == OK
    assert curate(base, "diff", "out", "ray") == OK


def test_a_wrong_space_stops_the_run_and_names_the_right_one(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ["--set", "sources.coco.space=xyxy pixel"]
    assert curate(base, "run", str(RECIPE), "-o", "wrong", "-q", "--inline", *wrong) != OK
    message = capsys.readouterr().err
    assert "instances" in message
    assert "do not fit the coordinate space 'xyxy pixel'" in message
    assert "'xywh pixel'" in message


def test_a_box_on_stored_pixels_is_at_its_place_on_the_shown_image(
    tmp_path: Path, real_data: Path
) -> None:
    rows, expected = [], {}
    for photo in sorted((real_data / "neardup/exif_orientation").glob("*_[1-8].jpg")):
        with Image.open(photo) as image:
            width, height = image.size
            mask, exif = Image.new("L", image.size), image.getexif()
        box = [width // 10, height // 5, width // 3, height // 2]
        mask.paste(255, tuple(box))
        mask.getexif()[0x0112] = exif[0x0112]
        shown = ImageOps.exif_transpose(mask)
        there = np.array(shown.getbbox()) / np.tile(shown.size, 2) * 1000
        rows.append({"image": photo.name, "boxes": [box], "labels": "here"})
        expected[f"boxes.jsonl#{len(rows)}"] = there.tolist()
    (tmp_path / "boxes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {"name": "boxes", "reader": "boxes_table", "path": "boxes.jsonl", "boxes": "boxes",
              "labels": "labels", "space": "xyxy pixel stored",
              "media_root": str(real_data / "neardup/exif_orientation")}  # fmt: skip
    seen = {row["origin"]: row["objects"][0]["box"] for row in run_recipe(tmp_path, source).rows}
    assert len(seen) == 8
    assert seen == {origin: pytest.approx(box, abs=1e-3) for origin, box in expected.items()}
