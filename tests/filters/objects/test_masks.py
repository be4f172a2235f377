"""Boxes and points from polygons and RLE masks, and objects that cannot be read."""

from __future__ import annotations

import json

import numpy as np

from filters.objects.masks import Masks
from tests.filters.objects.records import (
    IMAGE,
    MIXED,
    assert_slices_agree,
    records_of,
    remaining_objects,
    result_of_one_record,
    with_box,
    with_point,
    with_polygon,
)
from tests.filters.rows import answers
from tests.manifests.geometry.rle import attributes

SQUARE = [100, 100, 200, 100, 200, 200, 100, 200]


def test_a_broken_mask_is_counted_and_makes_nothing() -> None:
    good = attributes(np.ones((2, 2), bool))
    broken = json.dumps({"rle": {"size": [2, 2], "counts": [1, 2]}})
    batch = records_of(
        [{"attributes": good}, {"attributes": broken}, {"attributes": good}],
        media=[IMAGE | {"width": 480}],
    )
    result = answers(Masks(), batch)
    assert (result["unreadable"], result["boxes"], result["points"], result["drop"]) == (
        [1],
        [2],
        [2],
        [None],
    )
    everything = [0, 0, 1000, 1000]
    assert [one["box"] for one in result["objects"][0]] == [everything, None, everything]


def test_attributes_that_only_mention_rle_have_no_mask() -> None:
    some = ['{"note": "\\"rle\\""}', '["rle"]', 'not "rle" JSON', '{"rle": null}', None]
    result = answers(Masks(), records_of([{"attributes": one} for one in some]))
    assert (result["unreadable"], result["boxes"]) == ([0], [0])


def test_a_mask_of_another_image_makes_nothing() -> None:
    flat, high = np.ones((48, 64), bool), np.ones((64, 48), bool)
    objects = [{"attributes": attributes(one)} for one in (flat, high)]
    result = answers(Masks(), records_of(objects))
    assert (result["unreadable"], result["boxes"]) == ([1], [1])
    turned = records_of(objects, media=[IMAGE | {"orientation": 6}])
    assert answers(Masks(), turned)["objects"][0][0]["box"] is None
    unknown = records_of(objects, media=[IMAGE | {"width": None}])
    assert answers(Masks(), unknown)["unreadable"] == [0]


def test_objects_with_a_polygon_get_the_missing_box_or_point() -> None:
    batch = records_of(
        [
            with_polygon(SQUARE),
            with_polygon(SQUARE, box=[1, 1, 5, 5]),
            with_polygon(SQUARE, point=[3, 3]),
        ],
        [],
        [with_box(1, 1, 5, 5), with_point(3, 3)],
    )
    around, middle = [100, 100, 200, 200], [150, 150]
    result = answers(Masks(), batch)
    assert [one["box"] for one in result["objects"][0]] == [around, [1, 1, 5, 5], around]
    assert [one["point"] for one in result["objects"][0]] == [middle, middle, [3, 3]]
    assert (result["boxes"], result["points"]) == ([2, 0, 0], [2, 0, 0])
    assert (result["agreement"], result["drop"]) == ([0, None, None], [None] * 3)
    assert result["objects"][1:] == batch["objects"].to_pylist()[1:]
    over = answers(Masks(overwrite=True, to="box"), batch)
    assert [one["box"] for one in over["objects"][0]] == [around] * 3
    assert [one["point"] for one in over["objects"][0]] == [None, None, [3, 3]]
    assert (over["boxes"], over["points"]) == ([3, 0, 0], [0, 0, 0])


def test_boxes_far_from_their_mask_can_be_removed() -> None:
    right = with_polygon(SQUARE, box=[100, 100, 200, 180])
    wrong = with_polygon(SQUARE, box=[100, 100, 200, 150])
    batch = records_of([right, wrong], [wrong], [with_box(1, 1, 2, 2)])
    result = answers(Masks(min_agreement=0.8, to="point"), batch)
    assert result["agreement"] == [0.5, 0.5, None]
    assert (result["removed"], result["points"]) == ([1, 1, 0], [1, 0, 0])
    assert result["drop"] == [None, "no object left", None]
    assert [len(some) for some in result["objects"]] == [1, 0, 1]
    kept = answers(Masks(min_agreement=0.8, empty="keep"), batch)
    assert kept["drop"] == [None] * 3


def test_a_polygon_without_an_inside_is_unreadable() -> None:
    result = result_of_one_record(
        Masks(), with_polygon([5, 5, 9, 5]), with_polygon([]), with_polygon()
    )
    assert (result["unreadable"], result["boxes"], result["points"]) == (3, 0, 0)


def test_a_polygon_is_preferred_to_a_mask() -> None:
    both = with_polygon(SQUARE, attributes=attributes(np.ones((2, 2), bool)))
    assert remaining_objects(Masks(to=["box"]), records_of([both]))[0][0]["box"] == [
        100,
        100,
        200,
        200,
    ]


def test_slices_give_the_same_results_as_the_batch() -> None:
    for step in (Masks(), Masks(overwrite=True, min_agreement=0.9)):
        assert_slices_agree(step, MIXED)
    assert answers(Masks(), records_of())["drop"] == []
