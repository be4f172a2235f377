"""COCO's run-length masks (RLE), many at once: decoded and measured without making an image.

A mask is a list of run lengths: the number of pixels outside, inside, outside, ... the mask. The
pixels are in the order of columns, each column from top to bottom. COCO's compressed form has one
number for each run, written in digits of 5 bits, the lowest digit first. A digit is one ASCII
character: "0" stands for 0, "1" for 1, and so on in the order of ASCII. The sixth bit of a digit
means that more digits of the same number follow. For the first three runs, the number is the length
of the run. From the fourth run on, the number is the length of the run minus the length of the run
two positions before.

We do not use pycocotools, because it does not check its input: it reads past the end of short
counts and crashes on coordinates of 1e9. The tests compare our results with those of pycocotools on
valid masks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

MAX_SIDE = 65535
"""The largest side of a JPEG in pixels, because its header has 16 bits for a side. A mask with a
larger side counts as broken."""


class RunLengths(NamedTuple):
    """Masks as flat arrays. `objects`: the number of the object of each mask. `sizes`: the height
    and width of each mask. `lengths`: the length of each run, for all masks one after the other; a
    run is a number of successive pixels that are all outside or all inside the mask. `mask_of`: the
    mask that each run belongs to."""

    objects: np.ndarray
    """(masks,) ascending: the object of each mask."""
    sizes: np.ndarray
    """(masks, 2) int64: height and width."""
    mask_of: np.ndarray
    """(runs,) ascending: the mask of each run."""
    lengths: np.ndarray
    """(runs,) int64: number of pixels of each run; runs outside and inside alternate."""


class ColumnSpans(NamedTuple):
    """The pixels inside masks, as vertical spans. Span i is the pixels of mask mask_of[i] in column
    column[i], from row top[i] to row bottom[i] - 1.

    Pixels inside a mask that continue in the next column become several spans.
    """

    mask_of: np.ndarray
    """(spans,) ascending: the mask of each span."""
    column: np.ndarray
    top: np.ndarray
    bottom: np.ndarray


def read_masks(attributes: pa.Array) -> tuple[RunLengths, np.ndarray]:
    """Reads the masks in the JSON field `rle` of the objects' `attributes`. Returns the valid
    masks, and (objects,) bool: whether the mask of each object is broken.

    A mask is broken if its size or counts are malformed, or if its runs do not add up to the number
    of its pixels. `{"rle": {"size": [2, 2], "counts": [1, 2, 1]}}` gives lengths [1, 2, 1].
    """
    masks, broken = _parse(attributes)
    sizes = np.array([mask.size for mask in masks], np.int64).reshape(-1, 2)
    packed = [n for n, mask in enumerate(masks) if isinstance(mask.counts, bytes)]
    plain = [n for n, mask in enumerate(masks) if isinstance(mask.counts, np.ndarray)]
    texts = [mask.counts for mask in masks if isinstance(mask.counts, bytes)]
    lists = [mask.counts for mask in masks if isinstance(mask.counts, np.ndarray)]
    text_of, unpacked = decompress_counts(texts)
    mask_of = np.concatenate(
        [
            np.repeat(np.array(plain, np.int64), [len(counts) for counts in lists]),
            np.array(packed, np.int64)[text_of],
        ]
    )
    order = np.argsort(mask_of, kind="stable")
    lengths = np.concatenate([*lists, unpacked])[order]
    objects = np.array([mask.object for mask in masks], np.int64)
    return _drop_incomplete(RunLengths(objects, sizes, mask_of[order], lengths), broken)


class _Mask(NamedTuple):
    """The mask of one object, read from JSON. `object`: the number of the object. `size`: height
    and width. `counts`: the run lengths, int64, or bytes if they are compressed."""

    object: int
    size: tuple[int, int]
    counts: bytes | np.ndarray


def _parse(attributes: pa.Array) -> tuple[list[_Mask], np.ndarray]:
    mentions_rle = np.asarray(pc.match_substring(attributes, '"rle"').fill_null(False))
    broken = np.zeros(len(attributes), bool)
    masks: list[_Mask] = []
    indices = np.flatnonzero(mentions_rle)
    texts = attributes.take(pa.array(indices)).to_pylist()
    # This loop visits each object, because attributes are JSON, which has no columns.
    for index, text in zip(indices.tolist(), texts, strict=True):
        rle = None
        try:
            rle = orjson.loads(text)["rle"]
            height, width = rle["size"]
            masks.append(_Mask(index, (_side(height), _side(width)), _counts(rle["counts"])))
        except (KeyError, TypeError, ValueError):
            broken[index] = rle is not None
    return masks, broken


def _side(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SIDE:
        raise ValueError(value)
    return value


def _counts(value: Any) -> bytes | np.ndarray:
    if isinstance(value, str):
        return value.encode("ascii")
    counts = np.array(value)
    if counts.ndim != 1 or (len(counts) and counts.dtype.kind != "i"):
        raise TypeError(value)
    return counts.astype(np.int64)


def decompress_counts(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Decompresses the run lengths of masks; each of the `texts` is the compressed form of one
    mask. Returns two arrays with one number for each run: the index of the text, ascending, and the
    length of the run.

    If a text ends inside a number or has an invalid character, all its runs get the length -1,
    which no valid mask has. `decompress_counts([b"121"]) -> [0, 0, 0], [1, 2, 1]`
    """
    data = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - ord("0")
    text_of = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    if not len(data):
        return text_of, data
    last_of_text = np.diff(text_of, append=-1) != 0
    more_follow = (data & 0x20) > 0
    wrong = (data < 0) | (data > 0x3F) | (last_of_text & more_follow)
    ends = ~more_follow | last_of_text
    starts = np.concatenate([[0], np.flatnonzero(ends)[:-1] + 1])
    digits = np.diff(np.append(starts, len(data)))
    digit = np.arange(len(data)) - np.repeat(starts, digits)
    wrong |= digit > _LAST_DIGIT
    shift = 5 * np.minimum(digit, _LAST_DIGIT)
    values = np.add.reduceat((data & 0x1F) << shift, starts)
    negative = (data[ends] & 0x10) > 0
    values -= np.where(negative, 1 << (shift[ends] + 5), 0)
    run_of = text_of[starts]
    lengths = _undo_differences(values, run_of)
    lengths[np.isin(run_of, text_of[wrong])] = -1
    return run_of, lengths


_LAST_DIGIT = 6
"""The index of the last digit that a number may have. Digits 0 to 6 have 35 bits; the largest mask
needs 32 bits and a sign."""


def _undo_differences(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Computes run lengths from the numbers of compressed masks; owner[i], ascending, is the mask
    that values[i] belongs to. Runs 0, 1 and 2 of a mask have the lengths in `values`. From run 3
    on, the length is the value plus the length of the run two positions before.

    So the lengths of runs 1, 3, 5, ... of a mask are one cumulative sum of values, the lengths of
    runs 2, 4, 6, ... are another cumulative sum, and the length of run 0 is its value.

    `_undo_differences([1, 2, 3, 4, 5], [0] * 5) -> [1, 2, 3, 6, 8]`
    """
    number = _numbered(owner)
    chain = 2 * owner + number % 2
    order = np.argsort(chain, kind="stable")
    first = np.diff(chain[order], prepend=-1) != 0
    first |= number[order] == 2
    sums = np.cumsum(values[order])
    before = np.where(first, sums - values[order], 0)[first]
    lengths = np.empty(len(values), np.int64)
    lengths[order] = sums - before[np.cumsum(first) - 1]
    return lengths


def _numbered(owner: np.ndarray) -> np.ndarray:
    """Returns, for each element of the sorted `owner`, its position within its group of equal
    numbers, from 0.

    `_numbered([3, 3, 5]) -> [0, 1, 0]`
    """
    starts, _ = _groups(owner)
    lengths = np.diff(np.append(starts, len(owner)))
    numbers: np.ndarray = np.arange(len(owner)) - np.repeat(starts, lengths)
    return numbers


def _drop_incomplete(runs: RunLengths, broken: np.ndarray) -> tuple[RunLengths, np.ndarray]:
    """Drops the masks whose runs do not add up to the number of their pixels. Returns the remaining
    masks, and `broken`, (objects,) bool, which is now true also for the objects of the dropped
    masks."""
    masks = len(runs.objects)
    possible = (runs.lengths >= 0) & (runs.lengths <= MAX_SIDE**2)
    covered = np.bincount(runs.mask_of, np.where(possible, runs.lengths, np.inf), masks)
    complete = covered == runs.sizes.prod(axis=1)
    broken[runs.objects[~complete]] = True
    kept = complete[runs.mask_of]
    number = np.cumsum(complete) - 1
    return (
        RunLengths(
            runs.objects[complete],
            runs.sizes[complete],
            number[runs.mask_of[kept]],
            runs.lengths[kept],
        ),
        broken,
    )


def column_spans(runs: RunLengths) -> ColumnSpans:
    """Returns the pixels inside the masks as vertical spans: a run of pixels inside a mask is
    divided at the end of each column.

    Lengths [1, 4, 1] of a mask of 2 rows and 3 columns give three spans: row 1 of column 0, rows 0
    and 1 of column 1, row 0 of column 2.
    """
    ends = np.cumsum(runs.lengths)
    inside = (_numbered(runs.mask_of) % 2 == 1) & (runs.lengths > 0)
    mask = runs.mask_of[inside]
    before = np.concatenate([[0], np.cumsum(runs.sizes.prod(axis=1))])[mask]
    end = ends[inside] - before
    start = end - runs.lengths[inside]
    height = runs.sizes[mask, 0]
    first, last = start // height, (end - 1) // height
    columns = last - first + 1
    run = np.repeat(np.arange(len(mask)), columns)
    column = first[run] + np.arange(len(run)) - np.repeat(np.cumsum(columns) - columns, columns)
    top = np.where(column == first[run], (start - first * height)[run], 0)
    bottom = np.where(column == last[run], (end - last * height)[run], height[run])
    return ColumnSpans(mask[run], column, top, bottom)


def mask_boxes(spans: ColumnSpans, masks: int) -> np.ndarray:
    """Returns (masks, 4) x1 y1 x2 y2 around each mask, edges in pixels; nan for an empty mask.
    `masks` is the number of masks."""
    boxes = np.full((masks, 4), np.nan)
    if len(spans.column):
        starts, owner = _groups(spans.mask_of)
        low, high = np.minimum.reduceat, np.maximum.reduceat
        boxes[owner, 0], boxes[owner, 1] = low(spans.column, starts), low(spans.top, starts)
        boxes[owner, 2] = high(spans.column, starts) + 1
        boxes[owner, 3] = high(spans.bottom, starts)
    return boxes


_MARGIN = 0.01
"""The minimum distance in pixels between a point and the edge of its pixel, so that rounding to
float32 cannot move the point into the next pixel."""


def mask_points(spans: ColumnSpans, masks: int) -> np.ndarray:
    """Returns (masks, 2) x y in pixels of a point inside each mask; nan for an empty mask.

    The point is the centroid if the centroid is inside. Otherwise it is the middle of the longest
    span in the centroid's column. If this column is empty, it is the middle of the longest span of
    the mask.
    """
    points = np.full((masks, 2), np.nan)
    if not len(spans.column):
        return points
    starts, owner = _groups(spans.mask_of)
    size = spans.bottom - spans.top
    area = np.add.reduceat(size, starts)
    x = np.add.reduceat(size * (spans.column + 0.5), starts) / area
    y = np.add.reduceat(size * (spans.top + spans.bottom) / 2, starts) / area
    points[owner] = np.stack([x, y], axis=1)
    centroid = points[spans.mask_of]
    in_column = spans.column == np.floor(centroid[:, 0])
    inside = in_column & (spans.top <= centroid[:, 1]) & (centroid[:, 1] < spans.bottom)
    done = np.zeros(masks, bool)
    done[spans.mask_of[inside]] = True
    best = np.lexsort((-size, ~in_column, spans.mask_of))[starts]
    middles = np.stack([spans.column + 0.5, (spans.top + spans.bottom) / 2], axis=1)[best]
    points[owner] = np.where(done[owner][:, None], points[owner], middles)
    pixel = np.floor(points)
    return np.asarray(pixel + np.clip(points - pixel, _MARGIN, 1 - _MARGIN))


def _groups(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divides the ascending numbers `owner` into groups of equal numbers. Returns the index at
    which each group begins, and the number of each group: `_groups([5, 5, 8]) -> [0, 2], [5, 8]`"""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return starts, owner[starts]
