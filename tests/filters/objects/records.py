"""Records with objects, and the results of steps on them, for tests."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from manifests import record
from manifests.media import Media
from manifests.step import RowStep
from tests.filters.rows import NO_MEDIA, answers

Object = dict[str, Any]
IMAGE = {"kind": "image", "uri": "x", "width": 640, "height": 480}


def records_of(
    *records: list[Object], media: list[dict[str, Any]] | None = None, meta: str | None = None
) -> pa.Table:
    """Records of these objects on one image each, of 640 x 480, or on other media."""
    rows = [
        {
            "key": str(number),
            "content": [],
            "media": [IMAGE] if media is None else media,
            "objects": [{"media": 0} | one for one in objects],
            "meta": meta,
        }
        for number, objects in enumerate(records)
    ]
    return record.from_rows(rows, "made", "grounding")


def with_box(*box: float, **other: Any) -> Object:
    return {"label": "a", "box": list(box), **other}


def with_point(*point: float, **other: Any) -> Object:
    return {"label": "a", "point": list(point), **other}


def with_polygon(*rings: list[float], **other: Any) -> Object:
    return {"label": "a", "polygon": list(rings), **other}


def remaining_objects(
    step: RowStep, batch: pa.Table, media: Media = NO_MEDIA
) -> list[list[Object]]:
    """The objects that each record has after the step, without their null fields."""
    return [
        [{name: value for name, value in one.items() if value is not None} for one in objects]
        for objects in answers(step, batch, media)["objects"]
    ]


def result_of_one_record(step: RowStep, *objects: Object) -> dict[str, Any]:
    """The measures, rewritten columns and verdict for one record of these objects."""
    return {name: column[0] for name, column in answers(step, records_of(list(objects))).items()}


def assert_slices_agree(step: RowStep, batch: pa.Table) -> None:
    """Slices and a table of several chunks give the same rows as the whole batch."""
    whole = answers(step, batch)
    for start in range(batch.num_rows + 1):
        for stop in range(start, batch.num_rows + 1):
            part = {name: column[start:stop] for name, column in whole.items()}
            assert _text(answers(step, batch[start:stop])) == _text(part)
    joined = pa.concat_tables([batch[1:], batch[:1]])
    assert _text(answers(step, joined)) == _text({n: c[1:] + c[:1] for n, c in whole.items()})


def _text(result: dict[str, list[Any]]) -> str:
    """A text for comparison, in which nan equals nan."""
    return repr(sorted(result.items()))


MIXED = records_of(
    [
        with_box(-20, 10, 200, 300),
        with_box(-20, 10, 200, 301),
        with_point(5, 5),
        {"text": "no place"},
    ],
    [],
    [
        with_polygon([10, 10, 1200, 10, 600, 900], [100, 100, 110, 100, 110, 110]),
        with_box(float("nan"), 1, 2, 3),
        with_box(1, 2, 3),
        with_point(2000, 5, box=[1, 1, 999, 999]),
        {"label": None, "start": 1.0, "end": 2.5},
    ],
    [with_point(5, 5), {"label": "c_d", "box3d": [0.0] * 9}],
    [with_box(5, 5, 5, 9), with_box(900, 900, 100, 950), with_box(1100, 0, 1200, 50)],
    [
        {
            "label": "b",
            "box": [0, 0, 500, 500],
            "attributes": '{"rle": {"size": [4, 4], "counts": [0, 2, 14]}}',
        },
        {"attributes": '{"rle": 7}'},
    ],
)
"""Objects of all kinds: broken, far outside, without geometry; and a record without objects."""
