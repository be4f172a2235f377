"""Runs a row or reshape step on one batch, without the engine's checks of what it returns."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from manifests.media import Media, Reference
from manifests.step import Columns, Context, Measured, Reshaped, ReshapeStep, RowStep


def run_step(
    step: RowStep | ReshapeStep, batch: pa.Table, media: Media, model: Any = None
) -> Measured | Reshaped:
    """Measures and decides, or reshapes. Returns what `measure` or `reshape` returned. `model` is
    what the step has loaded."""
    context = Context(media, _no_blobs, model=model)
    if isinstance(step, ReshapeStep):
        return step.reshape(batch, context)
    measured: Measured | Columns = step.measure(batch, context)
    if not isinstance(measured, Measured):
        measured = Measured(measured)
    if measured.columns:
        step.decide(pa.table(measured.columns))
    return measured


def _no_blobs(data: bytes | memoryview) -> Reference:
    raise AssertionError("a measured step stores no bytes")
