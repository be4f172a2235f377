"""3D boxes from Omni3D's layout through all steps in three dimensions, by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.cli import OK
from manifests.geometry.cuboid import corners, matrices_from_euler
from manifests.geometry.projection import projected_boxes
from tests.runs import curate, run_recipe

SIZE, CAMERA = (640, 480), [500.0, 500.0, 320.0, 240.0]
BOXES: dict[str, tuple[list[float], dict[str, Any]]] = {
    "seen": ([0.0, 0.5, 6.0, 2.0, 1.5, 4.0, 0.1, 0.4, -0.2], {}),
    "hidden": ([1.0, 0.5, 9.0, 2.0, 1.5, 4.0, 0.0, 0.4, 0.0], {"visibility": 0.1}),
    "beside": ([30.0, 0.5, 9.0, 2.0, 1.5, 4.0, 0.0, 0.4, 0.0], {}),
    "alone": ([0.0, 0.0, 4.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0], {"lidar_pts": 0}),
}


def annotation(number: int, label: str, image: int) -> dict[str, Any]:
    place, result = BOXES[label]
    box = np.array([place])
    x, y, z, length, height, width = place[:6]
    found = (
        projected_boxes(corners(box), np.array([CAMERA]))[0].tolist()
        if label != "beside"
        else [-1] * 4
    )
    return {
        "id": number, "image_id": image, "category_id": 1, "category_name": label,
        "valid3D": True, "bbox2D_tight": [-1] * 4, "bbox2D_trunc": [-1] * 4, "bbox2D_proj": found,
        "bbox3D_cam": corners(box)[0].tolist(), "center_cam": [x, y, z],
        "dimensions": [width, height, length], "R_cam": matrices_from_euler(box[:, 6:])[0].tolist(),
        "behind_camera": False, "visibility": -1, "truncation": -1, "lidar_pts": -1,
        "segmentation_pts": -1, "depth_error": -1, **result,
    }  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    fx, fy, cx, cy = CAMERA
    images = []
    for number in range(2):
        Image.new("RGB", SIZE, (128, 128, 128)).save(tmp_path / "photos" / f"{number}.png")
        camera = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
        images.append({"id": number, "file_path": f"{number}.png", "width": 640, "height": 480,
                       "K": camera})  # fmt: skip
    found = [annotation(n, label, int(label == "alone")) for n, label in enumerate(BOXES)]
    whole = {"info": {}, "images": images, "annotations": found,
             "categories": [{"id": 1, "name": "thing"}]}  # fmt: skip
    (tmp_path / "omni.json").write_text(json.dumps(whole))
    return tmp_path


def test_boxes_are_removed_compared_and_moved(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"name": "omni", "reader": "omni3d", "path": "omni.json", "media_root": "photos",
              "trust": True}  # fmt: skip
    steps = [{"cameras": {}}, {"boxes_3d": {"min_iou": 0.99}}, {"virtual_camera": {}}]
    made = run_recipe(base, source, steps=steps)
    assert made.accounts["boxes_3d"] == (2, 1, {"no 3D box left": 1}, {})
    capsys.readouterr()
    assert curate(base, "show", "out", "--json", "--image", "drawn") == OK
    (row,) = json.loads(capsys.readouterr().out)
    (seen,) = row["objects"]
    scale = 480 / CAMERA[1]  # f_v = H_v: the virtual focal length is the image's height
    place = BOXES["seen"][0]
    assert seen["box3d"] == pytest.approx([*place[:2], place[2] * scale, *place[3:]], abs=1e-5)
    assert row["media"][0]["camera"] == pytest.approx([480, 480, 320, 240])
    expected = {"hidden": 1, "outside": 1, "count": 1, "unprojected": 0, "degenerate": 0}
    assert {name: row[f"boxes_3d.{name}"] for name in expected} == expected
    assert row["boxes_3d.min_iou"] == pytest.approx(1, abs=1e-5)
    assert row["cameras.assumed"] == 0
    changed = (np.asarray(Image.open(base / row["images"][0])) != 128).any(axis=2)
    u, v = (CAMERA[n] * place[n] / place[2] + CAMERA[n + 2] for n in (0, 1))
    ys, xs = np.nonzero(changed)
    assert xs.min() < u < xs.max()
    assert ys.min() < v < ys.max()
