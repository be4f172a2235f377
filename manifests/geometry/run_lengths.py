"""Masks as run lengths (COCO's RLE), many at once: decoded, and measured without an image made.

A mask is runs of pixels outside and inside in turn, the first one outside, down each column and
then on to the next. COCO's compressed form writes a run as base-32 digits, the lowest first, five
bits and one that more follow in a character from "0" on; from the fourth run on, how much longer
it is than the one two before.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

MAX_SIDE = 65535
"""Pixels: no JPEG is larger (its header has 16 bits for a side)."""


class RunLengths(NamedTuple):
    """Masks by number: whose they are, their sizes, and their runs one after the other."""

    objects: np.ndarray
    """(masks,) ascending: the object of each mask."""
    sizes: np.ndarray
    """(masks, 2) int64: height and width."""
    mask_of: np.ndarray
    """(runs,) ascending: the mask of each run."""
    lengths: np.ndarray
    """(runs,) int64."""


class ColumnSpans(NamedTuple):
    """What is inside: stretches of a column, from row `top` to before `bottom`, mask by mask."""

    mask_of: np.ndarray
    column: np.ndarray
    top: np.ndarray
    bottom: np.ndarray


def read_masks(attributes: pa.Array) -> tuple[RunLengths, np.ndarray]:
    """The masks under `rle` in a flat column of JSON; and (n,) bool of those that are broken."""
    told, broken = _told(attributes)
    sizes = np.array([one.size for one in told], np.int64).reshape(-1, 2)
    packed = [n for n, one in enumerate(told) if isinstance(one.counts, bytes)]
    plain = [n for n, one in enumerate(told) if isinstance(one.counts, np.ndarray)]
    texts = [one.counts for one in told if isinstance(one.counts, bytes)]
    lists = [one.counts for one in told if isinstance(one.counts, np.ndarray)]
    text_of, unpacked = decompress_counts(texts)
    mask_of = np.concatenate(
        [
            np.repeat(np.array(plain, np.int64), [len(some) for some in lists]),
            np.array(packed, np.int64)[text_of],
        ]
    )
    order = np.argsort(mask_of, kind="stable")
    lengths = np.concatenate([*lists, unpacked])[order]
    objects = np.array([one.object for one in told], np.int64)
    return _sound(RunLengths(objects, sizes, mask_of[order], lengths), broken)


class _Told(NamedTuple):
    object: int
    size: tuple[int, int]
    counts: bytes | np.ndarray


def _told(attributes: pa.Array) -> tuple[list[_Told], np.ndarray]:
    has = np.asarray(pc.match_substring(attributes, '"rle"').fill_null(False))
    broken = np.zeros(len(attributes), bool)
    told: list[_Told] = []
    # One by one: attributes are JSON, which has no columns.
    where = np.flatnonzero(has)
    for at, said in zip(where.tolist(), attributes.take(pa.array(where)).to_pylist(), strict=True):
        rle = None
        try:
            rle = orjson.loads(said)["rle"]
            height, width = rle["size"]
            told.append(_Told(at, (_side(height), _side(width)), _counts(rle["counts"])))
        except (KeyError, TypeError, ValueError):
            broken[at] = rle is not None
    return told, broken


def _side(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SIDE:
        raise ValueError(value)
    return value


def _counts(value: Any) -> bytes | np.ndarray:
    if isinstance(value, str):
        return value.encode("ascii")
    found = np.array(value)
    if found.ndim != 1 or (len(found) and found.dtype.kind != "i"):
        raise TypeError(value)
    return found.astype(np.int64)


def decompress_counts(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Of compressed masks: (runs,) ascending, the text each run is of; and its length.

    A text that breaks off, or has other characters, becomes runs that fit no mask.
    """
    data = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - ord("0")
    text_of = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    if not len(data):
        return text_of, data
    last_of_text = np.diff(text_of, append=-1) != 0
    more = (data & 0x20) > 0
    wrong = (data < 0) | (data > 0x3F) | (last_of_text & more)
    ends = ~more | last_of_text
    starts = np.concatenate([[0], np.flatnonzero(ends)[:-1] + 1])
    digits = np.diff(np.append(starts, len(data)))
    place = np.arange(len(data)) - np.repeat(starts, digits)
    wrong |= place > _MOST_DIGITS
    shift = 5 * np.minimum(place, _MOST_DIGITS)
    values = np.add.reduceat((data & 0x1F) << shift, starts)
    negative = (data[ends] & 0x10) > 0
    values -= np.where(negative, 1 << (shift[ends] + 5), 0)
    run_of = text_of[starts]
    lengths = _from_differences(values, run_of)
    lengths[np.isin(run_of, text_of[wrong])] = -1
    return run_of, lengths


_MOST_DIGITS = 6
"""After the first: 35 bits, where the largest mask wants 32 and a sign."""


def _from_differences(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Runs from what compressed ones say: each from the fourth on adds to the one two before."""
    place = _places(owner)
    chain = 2 * owner + place % 2  # of odd runs and of even ones, in which the first stands alone
    order = np.argsort(chain, kind="stable")
    first = np.diff(chain[order], prepend=-1) != 0
    first |= place[order] == 2
    sums = np.cumsum(values[order])
    before = np.where(first, sums - values[order], 0)[first]
    found = np.empty(len(values), np.int64)
    found[order] = sums - before[np.cumsum(first) - 1]
    return found


def _places(owner: np.ndarray) -> np.ndarray:
    """The number of each run in its mask; `owner` ascends."""
    starts, _ = _firsts(owner)
    runs = np.diff(np.append(starts, len(owner)))
    found: np.ndarray = np.arange(len(owner)) - np.repeat(starts, runs)
    return found


def _sound(runs: RunLengths, broken: np.ndarray) -> tuple[RunLengths, np.ndarray]:
    """The masks whose runs cover their size."""
    masks = len(runs.objects)
    possible = (runs.lengths >= 0) & (runs.lengths <= MAX_SIDE**2)
    covered = np.bincount(runs.mask_of, np.where(possible, runs.lengths, np.inf), masks)
    sound = covered == runs.sizes.prod(axis=1)
    broken[runs.objects[~sound]] = True
    kept = sound[runs.mask_of]
    number = np.cumsum(sound) - 1
    return (
        RunLengths(
            runs.objects[sound],
            runs.sizes[sound],
            number[runs.mask_of[kept]],
            runs.lengths[kept],
        ),
        broken,
    )


def column_spans(runs: RunLengths) -> ColumnSpans:
    """The runs inside, cut where they go on in the next column."""
    ends = np.cumsum(runs.lengths)
    inside = (_places(runs.mask_of) % 2 == 1) & (runs.lengths > 0)
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


def mask_boxes(some: ColumnSpans, masks: int) -> np.ndarray:
    """(masks, 4) x1 y1 x2 y2 in pixels, edges; nan of a mask with nothing inside."""
    found = np.full((masks, 4), np.nan)
    if len(some.column):
        starts, who = _firsts(some.mask_of)
        low, high = np.minimum.reduceat, np.maximum.reduceat
        found[who, 0], found[who, 1] = low(some.column, starts), low(some.top, starts)
        found[who, 2], found[who, 3] = high(some.column, starts) + 1, high(some.bottom, starts)
    return found


_BESIDE = 0.01
"""Of a pixel: so far points stay from its edges, for float32 must not put them in the next."""


def mask_points(some: ColumnSpans, masks: int) -> np.ndarray:
    """(masks, 2) x y in pixels: a point of each mask; nan of one with nothing inside.

    The centroid where it is inside; else the middle of the longest stretch of its column; where
    that column is empty, of the longest of all.
    """
    found = np.full((masks, 2), np.nan)
    if not len(some.column):
        return found
    starts, who = _firsts(some.mask_of)
    size = some.bottom - some.top
    area = np.add.reduceat(size, starts)
    x = np.add.reduceat(size * (some.column + 0.5), starts) / area
    y = np.add.reduceat(size * (some.top + some.bottom) / 2, starts) / area
    found[who] = np.stack([x, y], axis=1)
    place = found[some.mask_of]
    same = some.column == np.floor(place[:, 0])
    inside = same & (some.top <= place[:, 1]) & (place[:, 1] < some.bottom)
    done = np.zeros(masks, bool)
    done[some.mask_of[inside]] = True
    best = np.lexsort((-size, ~same, some.mask_of))[starts]
    middles = np.stack([some.column + 0.5, (some.top + some.bottom) / 2], axis=1)[best]
    found[who] = np.where(done[who][:, None], found[who], middles)
    pixel = np.floor(found)
    return np.asarray(pixel + np.clip(found - pixel, _BESIDE, 1 - _BESIDE))


def _firsts(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return starts, owner[starts]
