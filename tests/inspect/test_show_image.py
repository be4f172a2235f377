"""`curate show --image`: records drawn, from the command line to the pixels."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.cli import FAILED, MISTAKE, OK, run
from tests.runs import run_recipe

Capture = pytest.CaptureFixture[str]
BOXES = {"a": [100, 50, 200, 100], "b": [10, 10, 20, 20]}
"""x y width height in pixels."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over three grey images: two with a box, one with none, which is dropped."""
    base = tmp_path_factory.mktemp("show")
    (base / "photos").mkdir()
    for name in ("a", "b", "c"):
        Image.new("RGB", (640, 480), (128, 128, 128)).save(base / "photos" / f"{name}.png")
    images = [
        {"id": n, "file_name": f"{name}.png", "width": 640, "height": 480}
        for n, name in enumerate("abc")
    ]
    annotations = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": box, "iscrowd": 0}
        for n, box in enumerate(BOXES.values())
    ]
    annotations = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cup"}],
    }
    (base / "coco.json").write_text(json.dumps(annotations))
    source = {"name": "coco", "reader": "coco", "path": "coco.json", "media_root": "photos"}
    run_recipe(base, source, steps=[{"object_count": {"min": 1}}])
    return base


def answer(base: Path, capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    with contextlib.chdir(base):
        code = run(["show", "out", *arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def rows(base: Path, capsys: Capture, *arguments: str) -> list[dict[str, Any]]:
    code, out, _ = answer(base, capsys, *arguments, "--json")
    assert code == OK
    found: list[dict[str, Any]] = json.loads(out)
    return found


def drawn_on(path: Path) -> list[int]:
    """x1 y1 x2 y2 around the pixels that are no longer grey."""
    changed = (np.asarray(Image.open(path)) != 128).any(axis=2)
    ys, xs = np.nonzero(changed)
    return [int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())]


def test_every_record_shown_is_drawn_into_a_folder_and_its_path_is_printed(
    base: Path, tmp_path: Path, capsys: Capture
) -> None:
    code, out, _ = answer(base, capsys, "--image", str(tmp_path / "images"))
    assert code == OK
    printed = [line.split("drawn: ")[1] for line in out.splitlines() if "drawn: " in line]
    assert sorted(printed) == sorted(str(p) for p in (tmp_path / "images").iterdir())
    assert len(printed) == 2
    assert "-  cup  box 156.2, 104.2, 468.8, 312.5" in out


def test_the_box_is_where_the_annotation_is(base: Path, tmp_path: Path, capsys: Capture) -> None:
    for row in rows(base, capsys, "--image", str(tmp_path)):
        (path,) = row["images"]
        name = Path(row["media"][0]["uri"]).stem
        x, y, width, height = BOXES[name]
        x1, _, x2, y2 = drawn_on(Path(path))  # the label is above
        assert (x1, y2) == (x, y + height)
        assert x2 >= x + width


def test_a_record_is_named_by_the_start_of_its_id_or_its_origin(
    base: Path, tmp_path: Path, capsys: Capture
) -> None:
    every = rows(base, capsys)
    one = str(tmp_path / "one.png")
    for name in (every[1]["id"][:10], every[1]["origin"]):
        (row,) = rows(base, capsys, name, "--image", one)
        assert (row["id"], row["images"]) == (every[1]["id"], [one])
        assert Image.open(one).size == (640, 480)
        Path(one).unlink()


def test_the_default_folder_is_curate_images(base: Path, capsys: Capture) -> None:
    (row,) = rows(base, capsys, "-n", "1", "--image")
    assert row["images"] == [f"curate-images/{row['id']}.png"]
    assert (base / row["images"][0]).is_file()
    shutil.rmtree(base / "curate-images")


def test_dropped_records_are_drawn_as_they_were_read(
    base: Path, tmp_path: Path, capsys: Capture
) -> None:
    (row,) = rows(base, capsys, "--dropped", "--image", str(tmp_path))
    assert Image.open(row["images"][0]).getcolors() == [(640 * 480, (128, 128, 128))]


def test_a_source_is_chosen(base: Path, tmp_path: Path, capsys: Capture) -> None:
    assert len(rows(base, capsys, "--source", "coco", "--image", str(tmp_path))) == 2
    code, _, err = answer(base, capsys, "--source", "other", "--image", str(tmp_path))
    assert (code, "'other'" in err) == (MISTAKE, True), err


def test_several_images_for_one_file_are_a_mistake(
    base: Path, tmp_path: Path, capsys: Capture
) -> None:
    code, _, err = answer(base, capsys, "--image", str(tmp_path / "one.png"))
    assert (code, "2 images cannot be written to one file" in err) == (MISTAKE, True)
    assert not list(tmp_path.iterdir())


def test_quarantined_inputs_cannot_be_drawn(base: Path, capsys: Capture) -> None:
    code, _, err = answer(base, capsys, "--quarantined", "--image")
    assert (code, "--image cannot draw quarantined inputs" in err) == (MISTAKE, True)


def test_an_unknown_record_is_an_error(base: Path, capsys: Capture) -> None:
    code, _, err = answer(base, capsys, "nothing-like-it")
    assert (code, "has the id or origin 'nothing-like-it'" in err) == (FAILED, True)


def test_a_missing_image_is_reported_and_the_others_are_drawn(
    base: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(base, tmp_path / "moved")
    (tmp_path / "moved/photos/a.png").unlink()
    arguments = ("--base", str(tmp_path / "moved"), "--image", str(tmp_path / "images"))
    code, out, err = answer(base, capsys, *arguments)
    assert code == FAILED
    assert out.count("drawn: ") == 1
    assert f"{tmp_path}/moved/photos/a.png: there is no such file" in err
    assert "--base" in err
