"""The number of objects of a record, compared with bounds or a stated number; points of boxes."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa
import pytest
from pydantic import ValidationError

from filters.objects.box_points import BoxPoints
from filters.objects.count_agreement import CountAgreement
from filters.objects.object_count import ObjectCount
from tests.filters.objects.records import (
    MIXED,
    assert_slices_agree,
    records_of,
    remaining_objects,
    with_box,
    with_point,
)
from tests.filters.rows import answers

ALL = records_of(
    [with_box(1, 1, 2, 2), with_point(3, 3), {"label": "a"}],
    [],
    [with_point(1, 1, box=[1, 1, 2, 2])],
    [with_point(1, 1), with_point(2, 2)],
)


@pytest.mark.parametrize(
    ("of", "counts"),
    [("objects", [3, 0, 1, 2]), ("boxes", [1, 0, 1, 0]), ("points", [1, 0, 1, 2])],
)
def test_objects_boxes_or_points_are_counted(of: Any, counts: list[int]) -> None:
    result = answers(ObjectCount(of=of, min=1, max=1), ALL)
    assert result["count"] == counts
    reasons = {0: f"too few {of}", 1: None}
    assert result["drop"] == [reasons.get(count, f"too many {of}") for count in counts]


def test_without_bounds_all_records_stay() -> None:
    assert answers(ObjectCount(), ALL)["drop"] == [None] * 4
    assert answers(ObjectCount(min=1), records_of()) == {"count": [], "drop": [], "error": []}


def test_bounds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="no row can pass"):
        ObjectCount(min=3, max=2)


def stating(*metas: Any, points: int = 2) -> pa.Table:
    """Records of some points each, with these values in their `meta`."""
    some = [with_point(n, n) for n in range(points)]
    batch = records_of(*(some for _ in metas))
    result = [None if one is None else orjson.dumps(one).decode() for one in metas]
    return batch.set_column(
        batch.schema.get_field_index("meta"), "meta", pa.array(result, pa.string())
    )


def test_a_record_that_states_another_number_is_dropped() -> None:
    batch = stating({"count": 2}, {"count": 3}, {"url": "x"}, None, [2], {"count": None})
    assert answers(CountAgreement(), batch) == {
        "stated": [2, 3, None, None, None, None],
        "found": [2] * 6,
        "agrees": [True, False, None, None, None, None],
        "incomplete": [False] * 6,
        "drop": [None, "count differs", None, None, None, None],
        "error": [None] * 6,
    }
    assert answers(CountAgreement(mismatch="keep"), batch)["drop"] == [None] * 6
    strict = answers(CountAgreement(mismatch="keep", missing="drop"), batch)["drop"]
    assert strict == [None, None, *["no count stated"] * 4]


@pytest.mark.parametrize("value", [2, 2.0, "2", "02"])
def test_a_stated_number_can_be_text_or_a_whole_float(value: Any) -> None:
    assert answers(CountAgreement(field="n"), stating({"n": value}))["agrees"] == [True]


@pytest.mark.parametrize(
    "value", [True, "two", "", "-2", 2.5, -1, [2], {"a": 2}, "²", 1e300, 2**40]
)
def test_a_stated_value_that_is_not_a_count_is_an_error(value: Any) -> None:
    result = answers(CountAgreement(), stating({"count": value}))
    assert result["error"] == [
        f"field 'count' of meta is {value!r}, which is not a number of objects. Correct it, or set "
        "`field` to another field"
    ]
    assert (result["stated"], result["agrees"], result["drop"]) == ([None], [None], [None])


def test_what_is_counted_is_a_setting() -> None:
    batch = stating({"count": 0})
    assert answers(CountAgreement(of="boxes"), batch)["agrees"] == [True]
    assert answers(CountAgreement(of="points"), batch)["agrees"] == [False]


def test_boxes_get_the_point_in_their_middle() -> None:
    batch = records_of(
        [with_box(10, 20, 30, 60), with_point(1, 1), with_point(1, 1, box=[0, 0, 8, 8])],
        [],
        [{"label": "a"}],
    )
    result = answers(BoxPoints(), batch)
    assert [[one["point"] for one in some] for some in result["objects"]] == [
        [[20, 40], [1, 1], [1, 1]],
        [],
        [None],
    ]
    assert result["made"] == [1, 0, 0]
    over = answers(BoxPoints(overwrite=True), batch)
    assert [one["point"] for one in over["objects"][0]] == [[20, 40], [1, 1], [4, 4]]
    assert over["made"] == [2, 0, 0]


def test_boxes_may_be_replaced_by_points() -> None:
    batch = records_of([with_box(10, 20, 30, 60), with_point(1, 1, box=[0, 0, 8, 8])])
    assert remaining_objects(BoxPoints(boxes="replace"), batch) == [
        [
            {"label": "a", "media": 0, "point": [20, 40]},
            {"label": "a", "media": 0, "point": [1, 1]},
        ]
    ]


def test_an_incomplete_box_gives_no_point_and_stays() -> None:
    batch = records_of([with_box(1, 2, 3), with_box(1, 2, 3, 4)])
    for boxes in ("keep", "replace"):
        first, _ = answers(BoxPoints(boxes=boxes), batch)["objects"][0]
        assert (first["box"], first["point"]) == ([1, 2, 3], None)


@pytest.mark.parametrize(
    "step", [ObjectCount(max=2), CountAgreement(), BoxPoints(), BoxPoints(boxes="replace")]
)
def test_slices_give_the_same_results_as_the_batch(step: Any) -> None:
    assert_slices_agree(step, MIXED)


def test_a_number_never_agrees_with_a_record_of_which_only_some_labels_are_annotated() -> None:
    answered = answers(CountAgreement(), stating({"count": 2, "curate.absent": []}, {"count": 2}))
    assert answered["incomplete"] == [True, False]
    assert answered["agrees"][0] is None


def test_a_number_never_agrees_with_a_record_that_lost_an_annotation() -> None:
    batch = stating({"count": 2, "curate.lost": {"annotations": 1}}, {"curate.lost": {"refs": 1}})
    answered = answers(CountAgreement(), batch)
    assert (answered["agrees"], answered["incomplete"]) == ([None, None], [True, True])
    assert answered["drop"] == ["incomplete record", None]
    assert answers(CountAgreement(mismatch="keep"), batch)["drop"] == [None, None]
