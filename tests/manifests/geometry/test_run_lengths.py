"""Boxes and points of RLE masks: those of their pixels, and of pycocotools on valid masks."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from manifests.geometry.run_lengths import (
    MAX_SIDE,
    column_spans,
    decompress_counts,
    mask_boxes,
    mask_points,
    read_masks,
)
from tests.manifests.geometry.rle import attributes, compress


def measure(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The boxes and points, in pixels, of masks that are all valid."""
    runs, broken = read_masks(pa.array(texts, pa.string()))
    assert (runs.objects.tolist(), broken.any()) == (list(range(len(texts))), False)
    spans = column_spans(runs)
    return mask_boxes(spans, len(texts)), mask_points(spans, len(texts))


def measure_masks(masks: list[np.ndarray], compressed: bool) -> tuple[np.ndarray, np.ndarray]:
    return measure([attributes(mask, compressed) for mask in masks])


def a_mask(max_side: int) -> st.SearchStrategy[np.ndarray]:
    shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=max_side)
    return arrays.arrays(bool, shapes)


@given(st.lists(a_mask(9), max_size=5), st.booleans())
@example([np.zeros((3, 2), bool), np.ones((2, 3), bool), np.zeros((1, 1), bool)], True)
@example([np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)], False)
def test_boxes_and_points_are_those_of_the_pixels(
    masks: list[np.ndarray], compressed: bool
) -> None:
    boxes, points = measure_masks(masks, compressed)
    for mask, box, (x, y) in zip(masks, boxes, points, strict=True):
        rows, columns = np.nonzero(mask)
        if not len(rows):
            assert np.isnan([*box, x, y]).all()
            continue
        around = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert tuple(box) == around
        assert mask[int(y), int(x)]
        height, width = mask.shape
        stored = np.array([x / width, y / height]) * 1000
        x32, y32 = stored.astype(np.float32) / np.float32(1000) * (width, height)
        assert mask[int(y32), int(x32)]
        centre = columns.mean() + 0.5, rows.mean() + 0.5
        if mask[int(centre[1]), int(centre[0])]:
            assert (x, y) == pytest.approx(centre, abs=0.0101)


@pytest.mark.skipif(
    find_spec("pycocotools") is None,
    reason="pycocotools is not installed: pip install curate[dev]",
)
@given(st.lists(a_mask(40), min_size=1, max_size=4))
@example([np.ones((3, 5), bool), np.eye(70, dtype=bool)])
def test_masks_encoded_by_pycocotools_have_the_boxes_that_pycocotools_gives(
    masks: list[np.ndarray],
) -> None:
    import pycocotools.mask as coco

    written = [coco.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]
    texts = [json.dumps({"rle": one | {"counts": one["counts"].decode()}}) for one in written]
    boxes, points = measure(texts)
    for mask, rle, box, (x, y) in zip(masks, written, boxes, points, strict=True):
        assert rle["counts"].decode() == compress(read_lengths(rle))
        left, top, width, height = coco.toBbox(rle).tolist()
        if not mask.any():
            assert (left, top, width, height) == (0, 0, 0, 0)
            assert np.isnan([*box, x, y]).all()
            continue
        assert box.tolist() == [left, top, left + width, top + height]
        assert coco.decode(rle)[int(y), int(x)] == 1


def read_lengths(rle: dict[str, Any]) -> list[int]:
    _, lengths = decompress_counts([rle["counts"]])
    assert lengths.sum() == np.prod(rle["size"])
    found: list[int] = lengths.tolist()
    return found


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=12), max_size=4))
def test_compressed_counts_are_read_back(counts: list[list[int]]) -> None:
    owner, lengths = decompress_counts([compress(one).encode() for one in counts])
    assert [lengths[owner == n].tolist() for n in range(len(counts))] == counts


def test_compressed_counts_are_those_of_the_published_format() -> None:
    # The arithmetic by hand: 6 -> "6"; 40 = 8 + 32 -> 8 with more, then 1; 40 - 1 after "0", "1".
    owner, lengths = decompress_counts([b"6X1011"])
    assert lengths.tolist() == [6, 40, 0, 41, 1]
    assert owner.tolist() == [0] * 5


def test_a_point_is_in_the_column_of_the_centroid_unless_that_is_empty() -> None:
    horseshoe = np.ones((5, 5), bool)
    horseshoe[:4, 1:4] = False
    _, points = measure_masks([horseshoe, horseshoe.T], compressed=True)
    assert points.tolist() == [[2.5, 4.5], [2.5, 0.5]]


def test_points_on_the_edge_of_a_pixel_stay_in_it_as_float32() -> None:
    for width in range(7, 60):
        mask = np.zeros((1, width), bool)
        mask[0, [0, 1, 3, 6]] = True
        x, _ = measure_masks([mask], compressed=False)[1][0]
        assert int(float(np.float32(x / width * 1000)) * width / 1000) == 3


def test_an_empty_run_inside_adds_nothing() -> None:
    boxes, _ = measure([json.dumps({"rle": {"size": [2, 2], "counts": [1, 0, 2, 1]}})])
    assert boxes.tolist() == [[1, 1, 2, 2]]


BROKEN: dict[str, Any] = {
    "a number": 7,
    "a list": [],
    "nothing in it": {},
    "no counts": {"size": [2, 2]},
    "one side": {"size": [2], "counts": [4]},
    "a side of 0": {"size": [0, 2], "counts": []},
    "sides that are booleans": {"size": [True, True], "counts": [0, 1]},
    "a side over the limit": {"size": [2, MAX_SIDE + 1], "counts": [2 * MAX_SIDE + 2]},
    "short counts": {"size": [2, 2], "counts": [1, 2]},
    "no runs": {"size": [2, 2], "counts": []},
    "counts beyond the area": {"size": [2, 2], "counts": [0, 1_000_000_000]},
    "a negative run": {"size": [2, 2], "counts": [5, -1]},
    "negative runs that add up": {"size": [2, 2], "counts": [0, 5, -1]},
    "fractions": {"size": [2, 2], "counts": [1.5, 2.5]},
    "a list in the counts": {"size": [2, 2], "counts": [[1, 3]]},
    "beyond 64 bits": {"size": [2, 2], "counts": [2**70]},
    "a sum that wraps around": {"size": [2, 2], "counts": [2**62, 2**62, 2**62, 2**62, 4]},
    "null counts": {"size": [2, 2], "counts": None},
    "a text cut within a number": {"size": [2, 2], "counts": "1T"},
    "a text of a short count": {"size": [2, 2], "counts": "1S"},
    "a number of too many digits": {"size": [2, 2], "counts": "1S" + "P" * 9 + "0"},
    "a character below the digits": {"size": [5, 5], "counts": "1(0"},
    "a character beyond ASCII": {"size": [2, 2], "counts": "1é"},
    "thirty digits that go on": {"size": [2, 2], "counts": "o" * 30 + "1"},
    "a text of nothing": {"size": [2, 2], "counts": ""},
}


def test_broken_masks_are_marked_and_do_not_affect_others() -> None:
    good = attributes(np.ones((2, 2), bool))
    texts = [good]
    for rle in BROKEN.values():
        texts += [json.dumps({"rle": rle}), good]
    runs, broken = read_masks(pa.array(texts, pa.string()))
    names = dict(zip(range(1, len(texts), 2), BROKEN, strict=True))
    assert [names.get(n, "good") for n in np.flatnonzero(broken)] == list(BROKEN)
    assert runs.objects.tolist() == list(range(0, len(texts), 2))
    boxes = mask_boxes(column_spans(runs), len(runs.objects))
    assert boxes.tolist() == [[0, 0, 2, 2]] * len(boxes)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20), st.integers(1, 9))
def test_any_text_of_counts_is_a_mask_or_broken(text: str, side: int) -> None:
    rle = json.dumps({"rle": {"size": [side, side], "counts": text}})
    runs, broken = read_masks(pa.array([rle]))
    assert len(runs.objects) + broken.sum() == 1
    spans = column_spans(runs)
    assert ((spans.column >= 0) & (spans.column < side)).all()
    assert ((spans.top >= 0) & (spans.bottom <= side)).all()
