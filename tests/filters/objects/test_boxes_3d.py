"""3D boxes go for what their annotation says and for where they are seen, and are counted."""

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
"""Where an image of 200 x 100 shows AHEAD, whose nearest face is 4.5 m away."""


def of_objects(*records: list[dict[str, Any]], camera: list[float] | None = None) -> pa.Table:
    """Records of one image of 200 x 100 and of the given objects."""
    image = {"kind": "image", "uri": "x", "width": 200, "height": 100, "camera": camera}
    rows = [
        {"key": str(n), "content": [], "media": [image], "objects": [{"media": 0} | o for o in r]}
        for n, r in enumerate(records)
    ]
    return record.from_rows(rows, "made", "grounding")


def box(
    place: list[float] | None = AHEAD, said: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    attributes = json.dumps(said) if said else None
    return {"label": "car", "box3d": place, "attributes": attributes, **fields}


def removed(said: dict[str, list[Any]]) -> list[dict[str, int]]:
    """Of each record how many were removed, by reason, of those that removed any."""
    rows = range(len(said["count"]))
    return [{n: said[n][row] for n in REMOVED if said[n][row]} for row in rows]


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
def test_a_box_goes_by_a_field_of_its_annotation(
    field: str, bad: Any, good: Any, reason: str
) -> None:
    batch = of_objects([box(said={field: value}) for value in (bad, good, -1)] + [box()])
    said = answers(Boxes3d(), batch)
    assert removed(said) == [{reason: 1}]
    assert said["count"] == [3]
    assert [o["attributes"] for o in said["objects"][0]] == [
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
    said = answers(step, of_objects([box(said=bad)]))
    assert (said["count"], removed(said)) == ([1], [{}])
    assert removed(answers(Boxes3d(), of_objects([box(said=bad)] * 2))) == [{"behind_camera": 2}]


def test_a_record_that_loses_all_its_3d_boxes_is_dropped_or_kept_empty() -> None:
    hidden = box(said={"visibility": 0.1})
    flat = {"label": "sign", "box": [1, 2, 3, 4]}
    batch = of_objects([hidden, flat], [hidden, box()], [flat], [])
    said = answers(Boxes3d(), batch)
    assert said["drop"] == ["no 3D box left", None, None, None]
    assert said["count"] == [0, 1, 0, 0]
    assert [[o["label"] for o in objects] for objects in said["objects"]] == [
        ["sign"], ["car"], ["sign"], []
    ]  # fmt: skip
    assert answers(Boxes3d(empty="keep"), batch)["drop"] == [None] * 4


def test_keep_objects_takes_only_the_3d_box_of_what_has_a_place_besides() -> None:
    hidden = {"visibility": 0.1}
    batch = of_objects([box(said=hidden, point=[1, 2]), box(said=hidden), box(point=[3, 4])])
    (objects,) = answers(Boxes3d(keep_objects=True), batch)["objects"]
    assert [(o["point"], o["box3d"]) for o in objects] == [([1, 2], None), ([3, 4], AHEAD)]


def test_boxes_without_a_volume_or_with_numbers_that_are_none_always_go() -> None:
    flat, gone, short = [*AHEAD[:4], 0.0, *AHEAD[5:]], [float("nan"), *AHEAD[1:]], AHEAD[:7]
    said = answers(Boxes3d(), of_objects([box(flat), box(gone), box(short), box()]))
    assert (removed(said), said["count"]) == ([{"degenerate": 3}], [1])


def test_a_box_that_is_not_on_its_image_goes_where_the_camera_is_known() -> None:
    beside, behind = [9.0, *AHEAD[1:]], [0.0, 0.0, -5.0, *AHEAD[3:]]
    known = of_objects([box(beside), box(behind), box()], camera=CAMERA)
    said = answers(Boxes3d(), known)
    assert (removed(said), said["count"], said["unprojected"]) == ([{"outside": 2}], [1], [0])
    assert answers(Boxes3d(outside=False), known)["count"] == [3]
    unknown = answers(Boxes3d(), of_objects([box(beside), box(behind), box()]))
    assert (unknown["count"], unknown["unprojected"], unknown["min_iou"]) == ([3], [3], [None])


def test_projections_are_compared_with_the_2d_boxes_given() -> None:
    x1, y1, x2, y2 = SEEN
    half = [x1, y1, (x1 + x2) / 2, y2]
    batch = of_objects([box(box=SEEN), box(box=half), box()], [box(box=SEEN)], camera=CAMERA)
    said = answers(Boxes3d(), batch)
    assert said["min_iou"] == [pytest.approx(0.5, abs=1e-5), pytest.approx(1, abs=1e-5)]
    assert said["count"] == [3, 1]
    said = answers(Boxes3d(min_iou=0.6), batch)
    assert (removed(said), said["count"]) == ([{"low_iou": 1}, {}], [2, 1])


def test_a_2d_box_that_reaches_out_of_the_image_is_compared_as_far_as_it_is_seen() -> None:
    left = [-5.0, *AHEAD[1:]]  # from -22 to 18 pixels
    around = [1000 * (100 - 5.5 / 4.5 * 100) / 200, SEEN[1], 1000 * (100 - 4.5 / 5.5 * 100) / 200,
              SEEN[3]]  # fmt: skip
    said = answers(Boxes3d(), of_objects([box(left, box=around)], camera=CAMERA))
    assert said["min_iou"] == [pytest.approx(1, abs=1e-5)]


def test_low_and_far_boxes_go_where_a_bound_is_set() -> None:
    far = [0.0, 0.0, 50.0, *AHEAD[3:]]
    batch = of_objects([box(), box(far)], camera=CAMERA)
    share = 1 / 49.5  # of the height: 100 pixels of focal length on 100 of height
    assert removed(answers(Boxes3d(min_height=share * 1.01), batch)) == [{"small": 1}]
    assert removed(answers(Boxes3d(min_height=share * 0.99), batch)) == [{}]
    assert removed(answers(Boxes3d(max_depth=49), batch)) == [{"far": 1}]


@pytest.mark.parametrize("broken", ['{"visibility": "much"}', "[1]", "{", '{"valid3D": []}'])
def test_attributes_that_are_no_numbers_are_an_error(broken: str) -> None:
    batch = of_objects([box(attributes=broken)], [box()], [{"label": "a", "attributes": broken}])
    said = answers(Boxes3d(), batch)
    assert said["error"] == ["an attribute about a 3D box is not a number", None, None]
    assert said["count"] == [None, 1, 0]


def test_a_sideways_image_is_projected_on_as_it_is_shown() -> None:
    beside = [4.0, *AHEAD[1:]]  # from x 113 on, of an image that is 100 wide as it is shown
    batch = of_objects([box(beside), box()], camera=[100.0, 100.0, 50.0, 100.0])
    media = batch["media"].to_pylist()
    media[0][0]["orientation"] = 6
    at = batch.schema.get_field_index("media")
    turned = batch.set_column(at, "media", pa.array(media, batch.schema.field("media").type))
    assert removed(answers(Boxes3d(), turned)) == [{"outside": 1}]
