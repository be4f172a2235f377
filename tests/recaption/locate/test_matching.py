"""Which objects of two lists are taken for the same one."""

from __future__ import annotations

from typing import Any

import pytest

from recaption.locate.matching import Match, match


def boxed(label: str | None, *numbers: float, text: str | None = None) -> dict[str, Any]:
    return {"label": label, "text": text, "box": list(numbers), "point": None}


def pointed(label: str, x: float, y: float) -> dict[str, Any]:
    return {"label": label, "text": None, "box": None, "point": [x, y]}


def pairs(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(m.first, m.second) for m in match(first, second, 0.5, 100)]


def test_the_confidence_of_boxes_is_their_intersection_over_union() -> None:
    [one] = match([boxed("a", 0, 0, 100, 100)], [boxed("a", 0, 0, 100, 80)], 0.5, 100)
    assert one == Match(0, 0, pytest.approx(0.8))
    assert match([boxed("a", 0, 0, 100, 100)], [boxed("a", 0, 0, 100, 49)], 0.5, 100) == []
    assert len(match([boxed("a", 0, 0, 100, 100)], [boxed("a", 0, 0, 100, 50)], 0.5, 100)) == 1


def test_the_confidence_of_points_falls_with_their_distance() -> None:
    [one] = match([pointed("a", 100, 100)], [pointed("a", 130, 140)], 0.5, 100)
    assert one.confidence == pytest.approx(0.5)
    assert match([pointed("a", 100, 100)], [pointed("a", 131, 140)], 0.5, 100) == []


def test_objects_of_different_names_or_kinds_do_not_agree() -> None:
    box = boxed("a", 0, 0, 100, 100)
    assert pairs([box], [boxed("b", 0, 0, 100, 100)]) == []
    assert pairs([box], [pointed("a", 50, 50)]) == []
    assert pairs([boxed(None, 0, 0, 9, 9, text="x")], [boxed(None, 0, 0, 9, 9, text="y")]) == []


def test_boxes_that_do_not_overlap_never_agree() -> None:
    apart = boxed("a", 0, 0, 10, 10), boxed("a", 20, 20, 30, 30)
    assert match([apart[0]], [apart[1]], 0.0, 100) == []


def test_the_best_pair_is_taken_first_and_each_object_once() -> None:
    first = [boxed("a", 0, 0, 100, 100), boxed("a", 10, 0, 110, 100)]
    second = [boxed("a", 11, 0, 111, 100), boxed("a", 500, 0, 600, 100)]
    assert pairs(first, second) == [(1, 0)]
    assert pairs(second, first) == [(0, 1)]
    assert pairs(first, [*second, boxed("a", 0, 1, 100, 101)]) == [(0, 2), (1, 0)]


def test_equal_pairs_are_taken_in_the_order_of_the_lists() -> None:
    same = [boxed("a", 0, 0, 10, 10)] * 3
    assert pairs(same, same[:2]) == [(0, 0), (1, 1)]
