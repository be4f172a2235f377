"""Bounds of the steps on objects: settings that decide, and change no measure and no object."""

from __future__ import annotations

import pytest

from filters.objects.box_duplicates import BoxDuplicates
from filters.objects.box_points import BoxPoints
from filters.objects.boxes import Boxes
from filters.objects.boxes_3d import Boxes3d
from filters.objects.cameras import Cameras
from filters.objects.count_agreement import CountAgreement
from filters.objects.labels import Labels
from filters.objects.masks import Masks
from filters.objects.object_count import ObjectCount
from filters.objects.virtual_camera import VirtualCamera
from manifests.step import Bound, Measured, RowStep
from tests.filters.objects.records import MIXED
from tests.filters.rows import step_context

BOUNDS: dict[type[RowStep], dict[str, object]] = {
    BoxDuplicates: {},
    BoxPoints: {},
    Boxes: {"empty": "keep"},
    Boxes3d: {"empty": "keep"},
    Cameras: {},
    CountAgreement: {"mismatch": "keep", "missing": "drop"},
    Labels: {"empty": "keep"},
    Masks: {"empty": "keep"},
    ObjectCount: {"min": 1, "max": 2},
    VirtualCamera: {},
}


@pytest.mark.parametrize("kind", BOUNDS, ids=lambda kind: kind.__name__)
def test_a_bound_changes_no_measure_and_no_object(kind: type[RowStep]) -> None:
    def measured(step: RowStep) -> str:
        with step_context(step) as context:
            answered = step.measure(MIXED.select(step.reads()), context)
        columns = answered.columns if isinstance(answered, Measured) else answered
        return str({name: values.to_pylist() for name, values in columns.items()})

    assert kind.marked(Bound) == tuple(BOUNDS[kind])
    assert measured(kind(**BOUNDS[kind])) == measured(kind())
