"""Images get the camera of a file or an assumed one, and both are counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.engine.planned import PlannedStep
from filters.objects.cameras import Cameras
from filters.objects.virtual_camera import VirtualCamera
from manifests.errors import InputError
from manifests.geometry.camera import assumed_cameras, rescale_cameras
from manifests.geometry.cuboid import corners
from manifests.geometry.object_media import NO_IMAGE
from manifests.geometry.projection import project_points
from manifests.geometry.shown_sizes import UNKNOWN_SIZE
from manifests.media import Media
from tests.filters.objects.test_boxes_3d import AHEAD, box, records_of
from tests.filters.rows import answers, media_records

TAN_30 = 0.5773502691896257
COOKBOOK = "grounding/qwen_spatial/cookbooks/assets/spatial_understanding/cam_infos.json"


def medium(uri: str, width: int | None = 640, height: int | None = 480, **more: Any) -> Any:
    return {"kind": "image", "uri": uri, "width": width, "height": height, **more}


def cameras(result: dict[str, list[Any]]) -> list[list[Any]]:
    return [[m["camera"] for m in media] for media in result["media"]]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    infos = {
        "a.jpg": {"fx": 500, "fy": 510, "cx": 320, "cy": 240},
        "sub/b.jpg": {"fx": 1000, "fy": 1000, "cx": 640, "cy": 480, "width": 1280, "height": 960},
        "small.jpg": {"fx": 866.27, "fy": 866.27, "cx": 512, "cy": 384},
        "tall.jpg": {"fx": 1, "fy": 1, "cx": 320, "cy": 240, "width": 480, "height": 640},
    }
    (tmp_path / "cameras.json").write_text(json.dumps(infos))
    return tmp_path


def test_the_assumed_camera_has_60_degrees_in_both_directions() -> None:
    result = answers(Cameras(), media_records([medium("x")], [medium("y", 200, 100)], []))
    assert cameras(result) == [
        [pytest.approx([320 / TAN_30, 240 / TAN_30, 320, 240])],
        [pytest.approx([100 / TAN_30, 50 / TAN_30, 100, 50])],
        [],
    ]
    assert (result["assumed"], result["given"], result["error"]) == (
        [1, 1, 0],
        [0, 0, 0],
        [None] * 3,
    )


def test_the_assumed_camera_fits_the_image_as_shown() -> None:
    result = answers(Cameras(), media_records([medium("x", orientation=6)]))
    assert cameras(result) == [[pytest.approx([240 / TAN_30, 320 / TAN_30, 240, 320])]]


def test_the_file_names_images_by_uri_or_by_its_last_part(base: Path) -> None:
    batch = media_records([medium("photos/a.jpg"), medium("sub/b.jpg")], [medium("other/b.jpg")])
    result = answers(Cameras(path="cameras.json", field_of_view=None), batch, Media(str(base)))
    assert cameras(result) == [[[500, 510, 320, 240], [500, 500, 320, 240]], [None]]
    assert (result["given"], result["assumed"], result["unknown"]) == ([2, 0], [0, 0], [0, 1])


def test_an_existing_camera_stays_unless_replace_is_set(base: Path) -> None:
    had = [1.0, 2.0, 3.0, 4.0]
    batch = media_records([medium("a.jpg", camera=had)], [medium("other.jpg", camera=had)])
    media = Media(str(base))
    assert cameras(answers(Cameras(path="cameras.json"), batch, media)) == [[had], [had]]
    result = answers(Cameras(path="cameras.json", replace=True), batch, media)
    assert cameras(result) == [[[500, 510, 320, 240]], [had]]
    assert (result["given"], result["assumed"]) == ([1, 0], [0, 0])


def test_a_camera_of_the_image_at_another_size_is_an_error(base: Path) -> None:
    batch = media_records(
        [medium("small.jpg")], [medium("tall.jpg")], [medium("a.jpg", None, None)]
    )
    result = answers(Cameras(path="cameras.json"), batch, Media(str(base)))
    assert [error.split(":")[0] for error in result["error"]] == [
        "the camera's centre is too far from the image's centre",
        "the camera's `width` and `height` have another aspect ratio than the image",
        "an image has an unknown size",
    ]
    assert result["given"] == [None] * 3
    loose = answers(
        Cameras(path="cameras.json", max_off_centre=None), media_records([medium("small.jpg")]),
        Media(str(base)),
    )  # fmt: skip
    assert loose["error"] == [None]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[]", "is not a JSON object"),
        ("{", "is not JSON"),
        ('{"a": 3}', "the camera is 3, not a JSON object"),
        ('{"a": {"fx": 1, "fy": 0, "cx": 1, "cy": 1}}', "fy is 0"),
        ('{"a": {"fx": 1, "fy": 1, "cx": 1}}', "cy is None"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str, fault: str) -> None:
    (tmp_path / "cameras.json").write_text(content)
    with pytest.raises(InputError, match=fault):
        answers(Cameras(path="cameras.json"), media_records([medium("a")]), Media(str(tmp_path)))


def test_the_file_is_part_of_the_identity_of_the_step(base: Path) -> None:
    assert Cameras(path="cameras.json").files(str(base)) == (str(base / "cameras.json"),)
    assert Cameras().files(str(base)) == ()


def test_a_file_of_cameras_may_move_but_not_change(base: Path) -> None:
    def identity(path: str) -> dict[str, Any]:
        return PlannedStep("cameras", Cameras(path=path)).identity(str(base), 0)

    before = identity("cameras.json")
    (base / "moved").mkdir()
    moved = Path(shutil.copy(base / "cameras.json", base / "moved"))
    assert identity("moved/cameras.json") == before
    moved.write_text("{}")
    assert identity("moved/cameras.json") != before


def test_one_camera_of_the_cookbook_is_for_another_size(real_data: Path) -> None:
    where = real_data / COOKBOOK
    if not where.exists():
        pytest.skip("the images of Qwen's cookbook are not here")
    sizes = {"autonomous_driving.jpg": (1600, 900), "office.jpg": (1440, 1920),
             "lounge.jpg": (730, 530), "manipulation.jpg": (640, 480)}  # fmt: skip
    batch = media_records(*([medium(name, *size)] for name, size in sizes.items()))
    result = answers(Cameras(path=str(where)), batch)
    assert [error is not None for error in result["error"]] == [False, False, False, True]
    assert cameras(result)[2] == [[529.5, 529.5, 365, 265]]


@given(st.floats(10, 5000), st.floats(10, 5000), st.floats(0.1, 10))
def test_a_rescaled_camera_projects_to_the_same_place(
    width: float, height: float, times: float
) -> None:
    size = np.array([[width, height]])
    camera = assumed_cameras(size)
    place = np.array([[[0.3, -0.2, 4.0]]])
    there = project_points(place, rescale_cameras(camera, size, size * times))
    np.testing.assert_allclose(there, project_points(place, camera) * times)


@given(
    st.floats(-20, 20), st.floats(-5, 5), st.floats(0.5, 80), st.floats(50, 5000),
    st.floats(50, 5000), st.integers(10, 5000),
)  # fmt: skip
def test_the_virtual_camera_keeps_centres_in_place_and_can_be_undone(
    x: float, y: float, z: float, fx: float, fy: float, height: int
) -> None:
    place = [x, y, z, *AHEAD[3:]]
    batch = records_of([box(place)], camera=[fx, fy, 100, 50])
    image = batch["media"].to_pylist()[0][0] | {"height": height}
    batch = _with(batch, media=[[image]])
    result = answers(VirtualCamera(), batch)
    (found,) = result["objects"][0]
    (camera,) = cameras(result)[0]
    scale = (512 / fy) * (height / 512)
    assert found["box3d"] == pytest.approx([x, y, z * scale, *AHEAD[3:]], rel=1e-5)
    assert camera == pytest.approx([fx * scale, height, 100, 50], rel=1e-5)
    before, after = (
        project_points(np.array([[b[:3]]]), np.array([c]))
        for b, c in ((place, [fx, fy, 100, 50]), (found["box3d"], camera))
    )
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-2)
    assert result["min_scale"] == result["max_scale"] == [pytest.approx(scale, rel=1e-6)]
    again = _with(batch, objects=result["objects"], media=result["media"])
    assert answers(VirtualCamera(), again)["max_scale"] == [pytest.approx(1, rel=1e-5)]
    back = answers(VirtualCamera(focal=fy * 512 / height), again)["objects"][0][0]["box3d"]
    assert back == pytest.approx(place, rel=1e-5)


def _with(batch: pa.Table, **columns: list[Any]) -> pa.Table:
    for name, values in columns.items():
        at = batch.schema.get_field_index(name)
        batch = batch.set_column(at, name, pa.array(values, batch.schema.field(name).type))
    return batch


def test_without_rewrite_the_virtual_camera_only_measures() -> None:
    batch = records_of([box(), box()], [{"label": "a"}], camera=[256.0, 256.0, 100, 50])
    result = answers(VirtualCamera(rewrite=False), batch)
    assert result["objects"] == batch["objects"].to_pylist()
    assert result["media"] == batch["media"].to_pylist()
    assert result["boxes"] == [2, 0]
    assert result["min_scale"] == [(512 / 256) * (100 / 512), None]


def test_a_3d_box_without_a_camera_quarantines_only_its_record() -> None:
    batch = records_of([box()], [{"label": "a", "box": [1, 2, 3, 4]}])
    result = answers(VirtualCamera(), batch)
    assert result["error"] == [
        "a 3D box is on an image without a camera; run the step cameras before",
        None,
    ]
    assert result["boxes"] == [None, 0]
    assert result["objects"][1] == batch["objects"][1].as_py()


def test_a_3d_box_without_an_image_or_a_size_has_its_own_error() -> None:
    batch = records_of([box(media=7)], [box()], camera=[256.0, 256.0, 100, 50])
    media = batch["media"].to_pylist()
    media[1][0]["height"] = None
    result = answers(VirtualCamera(), _with(batch, media=media))
    assert result["error"] == [NO_IMAGE, UNKNOWN_SIZE]


def test_a_camera_changes_without_a_3d_box_too() -> None:
    batch = records_of([{"label": "a"}], camera=[256.0, 256.0, 100, 50])
    assert cameras(answers(VirtualCamera(), batch)) == [[[100.0, 100.0, 100, 50]]]


def test_corners_at_the_virtual_depth_keep_their_size() -> None:
    batch = records_of([box()], camera=[100.0, 100.0, 100, 50])
    (found,) = answers(VirtualCamera(), batch)["objects"][0]
    sides = [np.ptp(corners(np.array([b]))[0], axis=0).tolist() for b in (AHEAD, found["box3d"])]
    assert sides[0] == pytest.approx(sides[1])
