"""Boxes and points that `masks` makes of polygons and RLE masks, and what it leaves."""

from __future__ import annotations

import json

import numpy as np

from filters.objects.masks import Masks
from tests.filters.objects.records import (
    IMAGE,
    MIXED,
    alone,
    boxed,
    every_slice_is_answered_as_the_whole,
    left,
    of_objects,
    outlined,
    pointed,
)
from tests.filters.rows import answers
from tests.manifests.geometry.rle import attributes

SQUARE = [100, 100, 200, 100, 200, 200, 100, 200]


def test_a_broken_mask_is_counted_and_makes_nothing() -> None:
    good = attributes(np.ones((2, 2), bool))
    broken = json.dumps({"rle": {"size": [2, 2], "counts": [1, 2]}})
    batch = of_objects(
        [{"attributes": good}, {"attributes": broken}, {"attributes": good}],
        media=[IMAGE | {"width": 480}],
    )
    said = answers(Masks(), batch)
    assert (said["unreadable"], said["boxes"], said["points"], said["drop"]) == (
        [1],
        [2],
        [2],
        [None],
    )
    everything = [0, 0, 1000, 1000]
    assert [one["box"] for one in said["objects"][0]] == [everything, None, everything]


def test_attributes_that_only_speak_of_masks_have_none() -> None:
    some = ['{"note": "\\"rle\\""}', '["rle"]', 'not "rle" JSON', '{"rle": null}', None]
    said = answers(Masks(), of_objects([{"attributes": one} for one in some]))
    assert (said["unreadable"], said["boxes"]) == ([0], [0])


def test_a_mask_of_another_image_makes_nothing() -> None:
    flat, high = np.ones((48, 64), bool), np.ones((64, 48), bool)
    objects = [{"attributes": attributes(one)} for one in (flat, high)]
    said = answers(Masks(), of_objects(objects))
    assert (said["unreadable"], said["boxes"]) == ([1], [1])
    turned = of_objects(objects, media=[IMAGE | {"orientation": 6}])
    assert answers(Masks(), turned)["objects"][0][0]["box"] is None
    unknown = of_objects(objects, media=[IMAGE | {"width": None}])
    assert answers(Masks(), unknown)["unreadable"] == [0]


def test_objects_with_a_polygon_get_what_they_do_not_have() -> None:
    batch = of_objects(
        [outlined(SQUARE), outlined(SQUARE, box=[1, 1, 5, 5]), outlined(SQUARE, point=[3, 3])],
        [],
        [boxed(1, 1, 5, 5), pointed(3, 3)],
    )
    around, middle = [100, 100, 200, 200], [150, 150]
    said = answers(Masks(), batch)
    assert [one["box"] for one in said["objects"][0]] == [around, [1, 1, 5, 5], around]
    assert [one["point"] for one in said["objects"][0]] == [middle, middle, [3, 3]]
    assert (said["boxes"], said["points"]) == ([2, 0, 0], [2, 0, 0])
    assert (said["agreement"], said["drop"]) == ([0, None, None], [None] * 3)
    assert said["objects"][1:] == batch["objects"].to_pylist()[1:]
    over = answers(Masks(overwrite=True, to="box"), batch)
    assert [one["box"] for one in over["objects"][0]] == [around] * 3
    assert [one["point"] for one in over["objects"][0]] == [None, None, [3, 3]]
    assert (over["boxes"], over["points"]) == ([3, 0, 0], [0, 0, 0])


def test_boxes_far_from_their_mask_may_go() -> None:
    right = outlined(SQUARE, box=[100, 100, 200, 180])
    wrong = outlined(SQUARE, box=[100, 100, 200, 150])
    batch = of_objects([right, wrong], [wrong], [boxed(1, 1, 2, 2)])
    said = answers(Masks(min_agreement=0.8, to="point"), batch)
    assert said["agreement"] == [0.5, 0.5, None]
    assert (said["removed"], said["points"]) == ([1, 1, 0], [1, 0, 0])
    assert said["drop"] == [None, "no object left", None]
    assert [len(some) for some in said["objects"]] == [1, 0, 1]
    kept = answers(Masks(min_agreement=0.8, empty="keep"), batch)
    assert kept["drop"] == [None] * 3


def test_a_polygon_without_an_inside_is_unread() -> None:
    said = alone(Masks(), outlined([5, 5, 9, 5]), outlined([]), outlined())
    assert (said["unreadable"], said["boxes"], said["points"]) == (3, 0, 0)


def test_a_polygon_goes_before_a_mask() -> None:
    both = outlined(SQUARE, attributes=attributes(np.ones((2, 2), bool)))
    assert left(Masks(to=["box"]), of_objects([both]))[0][0]["box"] == [100, 100, 200, 200]


def test_slices_are_answered_as_the_whole_is() -> None:
    for step in (Masks(), Masks(overwrite=True, min_agreement=0.9)):
        every_slice_is_answered_as_the_whole(step, MIXED)
    assert answers(Masks(), of_objects())["drop"] == []
