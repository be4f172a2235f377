"""3D boxes are removed by their annotation and their projection, and counted by reason."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from filters.objects.boxes_3d import REMOVED, Boxes3d
from manifests import record
from tests.filters.rows import answers

AHEAD = [0.0, 0.0, 5.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
CAMERA = [100.0, 100.0, 100.0, 50.0]
SEEN = [1000 * (100 - 50 / 4.5) / 200, 1000 * (50 - 50 / 4.5) / 100,
        1000 * (100 + 50 / 4.5) / 200, 1000 * (50 + 50 / 4.5) / 100]  # fmt: skip
"""The projection of AHEAD on an image of 200 x 100; its nearest face is 4.5 m away."""


def records_of(*records: list[dict[str, Any]], camera: list[float] | None = None) -> pa.Table:
    """Records of one image of 200 x 100 and of the given objects."""
    image = {"kind": "image", "uri": "x", "width": 200, "height": 100, "camera": camera}
    rows = [
        {"key": str(n), "content": [], "media": [image], "objects": [{"media": 0} | o for o in r]}
        for n, r in enumerate(records)
    ]
    return record.from_rows(rows, "made", "grounding")


def box(
    place: list[float] | None = AHEAD, result: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    attributes = json.dumps(result) if result else None
    return {"label": "car", "box3d": place, "attributes": attributes, **fields}


def removed(result: dict[str, list[Any]]) -> list[dict[str, int]]:
    """For each record: the number of removed 3D boxes by reason, without zeros."""
    rows = range(len(result["count"]))
    return [{n: result[n][row] for n in REMOVED if result[n][row]} for row in rows]


@pytest.mark.parametrize(
    ("field", "bad", "good", "reason"),
    [
        ("behind_camera", True, False, "behind_camera"),
        ("valid3D", False, True, "invalid"),
        ("visibility", 0.2, 0.25, "hidden"),
        ("truncation", 0.8, 0.75, "truncated"),
        ("depth_error", 0.6, 0.5, "wrong_depth"),
        ("lidar_pts", 0, 1, "few_points"),
        ("segmentation_pts", 0, 1, "few_points"),
    ],
)
def test_a_box_is_removed_by_a_field_of_its_annotation(
    field: str, bad: Any, good: Any, reason: str
) -> None:
    batch = records_of([box(result={field: value}) for value in (bad, good, -1)] + [box()])
    result = answers(Boxes3d(), batch)
    assert removed(result) == [{reason: 1}]
    assert result["count"] == [3]
    assert [o["attributes"] for o in result["objects"][0]] == [
        json.dumps({field: good}),
        json.dumps({field: -1}),
        None,
    ]


def test_bounds_that_are_null_remove_nothing() -> None:
    bad = {"behind_camera": True, "valid3D": False, "visibility": 0, "truncation": 1,
           "depth_error": 9, "lidar_pts": 0, "segmentation_pts": 0}  # fmt: skip
    step = Boxes3d(
        behind_camera=False,
        invalid=False,
        min_visibility=None,
        max_truncation=None,
        max_depth_error=None,
        min_points=None,
    )
    result = answers(step, records_of([box(result=bad)]))
    assert (result["count"], removed(result)) == ([1], [{}])
    assert removed(answers(Boxes3d(), records_of([box(result=bad)] * 2))) == [{"behind_camera": 2}]


def test_a_record_that_loses_all_its_3d_boxes_is_dropped_or_kept_empty() -> None:
    hidden = box(result={"visibility": 0.1})
    flat = {"label": "sign", "box": [1, 2, 3, 4]}
    batch = records_of([hidden, flat], [hidden, box()], [flat], [])
    result = answers(Boxes3d(), batch)
    assert result["drop"] == ["no 3D box left", None, None, None]
    assert result["count"] == [0, 1, 0, 0]
    assert [[o["label"] for o in objects] for objects in result["objects"]] == [
        ["sign"], ["car"], ["sign"], []
    ]  # fmt: skip
    assert answers(Boxes3d(empty="keep"), batch)["drop"] == [None] * 4


def test_keep_objects_removes_only_the_3d_box_of_an_object_with_2d_geometry() -> None:
    hidden = {"visibility": 0.1}
    batch = records_of([box(result=hidden, point=[1, 2]), box(result=hidden), box(point=[3, 4])])
    (objects,) = answers(Boxes3d(keep_objects=True), batch)["objects"]
    assert [(o["point"], o["box3d"]) for o in objects] == [([1, 2], None), ([3, 4], AHEAD)]


def test_boxes_without_a_volume_or_with_nan_are_always_removed() -> None:
    flat, gone, short = [*AHEAD[:4], 0.0, *AHEAD[5:]], [float("nan"), *AHEAD[1:]], AHEAD[:7]
    result = answers(Boxes3d(), records_of([box(flat), box(gone), box(short), box()]))
    assert (removed(result), result["count"]) == ([{"degenerate": 3}], [1])


def test_a_box_outside_its_image_is_removed_if_the_camera_is_known() -> None:
    beside, behind = [9.0, *AHEAD[1:]], [0.0, 0.0, -5.0, *AHEAD[3:]]
    known = records_of([box(beside), box(behind), box()], camera=CAMERA)
    result = answers(Boxes3d(), known)
    assert (removed(result), result["count"], result["unprojected"]) == ([{"outside": 2}], [1], [0])
    assert answers(Boxes3d(outside=False), known)["count"] == [3]
    unknown = answers(Boxes3d(), records_of([box(beside), box(behind), box()]))
    assert (unknown["count"], unknown["unprojected"], unknown["min_iou"]) == ([3], [3], [None])


def test_projections_are_compared_with_the_2d_boxes_given() -> None:
    x1, y1, x2, y2 = SEEN
    half = [x1, y1, (x1 + x2) / 2, y2]
    batch = records_of([box(box=SEEN), box(box=half), box()], [box(box=SEEN)], camera=CAMERA)
    result = answers(Boxes3d(), batch)
    assert result["min_iou"] == [pytest.approx(0.5, abs=1e-5), pytest.approx(1, abs=1e-5)]
    assert result["count"] == [3, 1]
    result = answers(Boxes3d(min_iou=0.6), batch)
    assert (removed(result), result["count"]) == ([{"low_iou": 1}, {}], [2, 1])


def test_a_2d_box_partly_outside_is_clipped_before_the_comparison() -> None:
    remaining_objects = [-5.0, *AHEAD[1:]]  # from -22 to 18 pixels
    around = [1000 * (100 - 5.5 / 4.5 * 100) / 200, SEEN[1], 1000 * (100 - 4.5 / 5.5 * 100) / 200,
              SEEN[3]]  # fmt: skip
    result = answers(Boxes3d(), records_of([box(remaining_objects, box=around)], camera=CAMERA))
    assert result["min_iou"] == [pytest.approx(1, abs=1e-5)]


def test_small_and_far_boxes_are_removed_if_a_bound_is_set() -> None:
    far = [0.0, 0.0, 50.0, *AHEAD[3:]]
    batch = records_of([box(), box(far)], camera=CAMERA)
    share = 1 / 49.5  # of the height: 100 pixels of focal length on 100 of height
    assert removed(answers(Boxes3d(min_height=share * 1.01), batch)) == [{"small": 1}]
    assert removed(answers(Boxes3d(min_height=share * 0.99), batch)) == [{}]
    assert removed(answers(Boxes3d(max_depth=49), batch)) == [{"far": 1}]


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (
            '{"visibility": "much"}',
            "the attribute `visibility` of a 3D box is 'much', not a number",
        ),
        ("[1]", "the attributes of a 3D box are '[1]', which is not a JSON object"),
        ("{", "the attributes of a 3D box are '{', which is not a JSON object"),
        ('{"valid3D": []}', "the attribute `valid3D` of a 3D box is [], not a number"),
    ],
)
def test_attributes_that_are_not_numbers_are_an_error(broken: str, fault: str) -> None:
    batch = records_of([box(attributes=broken)], [box()], [{"label": "a", "attributes": broken}])
    result = answers(Boxes3d(), batch)
    assert result["error"] == [
        f"{fault}. Correct the object's `attributes` in the source.",
        None,
        None,
    ]
    assert result["count"] == [None, 1, 0]


def test_projection_uses_the_image_as_shown() -> None:
    beside = [4.0, *AHEAD[1:]]  # from x 113 on, of an image that is 100 wide as it is shown
    batch = records_of([box(beside), box()], camera=[100.0, 100.0, 50.0, 100.0])
    media = batch["media"].to_pylist()
    media[0][0]["orientation"] = 6
    at = batch.schema.get_field_index("media")
    turned = batch.set_column(at, "media", pa.array(media, batch.schema.field("media").type))
    assert removed(answers(Boxes3d(), turned)) == [{"outside": 1}]
