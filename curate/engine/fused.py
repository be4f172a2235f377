"""Fused steps: each batch passes through several consecutive steps, and each image is decoded
once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from curate.engine import time_limit
from curate.engine.media_options import MediaOptions
from curate.engine.opened import OpenedSteps
from curate.engine.outcomes import StepResult, dropped_schema
from curate.engine.planned import PlannedStep, part_schema
from curate.engine.steps import run_step
from manifests.errors import StepError
from manifests.step import Blobs, Images

BATCH_ROWS = 8192
"""The number of rows in a batch of fused steps (our choice)."""
IMAGE_BATCH_ROWS = 128
"""The number of rows in a batch if a step uses images, so that the decoded images fit in memory
(our choice)."""


class FusedSteps(NamedTuple):
    """Steps that run one after another on the same batch. `before` lists the steps that ran
    earlier."""

    steps: list[PlannedStep]
    before: list[PlannedStep]

    @property
    def schema(self) -> pa.Schema:
        """The columns of a row after all steps have run."""
        return part_schema([*self.before, *self.steps])

    @property
    def images(self) -> Images | None:
        """The size at which images are decoded for all steps; None if no step uses images."""
        return joint_images(self.steps)

    @property
    def batch_rows(self) -> int:
        return joint_batch_rows(self.steps)

    def run(
        self,
        opened: OpenedSteps,
        batches: Iterable[pa.Table],
        options: MediaOptions,
        blobs: Blobs,
        remove: bool = True,
    ) -> Iterator[tuple[pa.Table, list[StepResult]]]:
        """Runs all steps on each batch. Yields the rows that remain after the last step, and the
        result of each step.

        `options` say where media are found. `blobs` stores bytes for the steps. If `remove` is
        false, no row is removed, so each step also measures the rows that an earlier step would
        drop.
        """
        schema = self.schema
        dropped_as = dropped_schema(schema)
        with contextlib.closing(options.open(self.images)) as media:
            contexts = [opened.context(step, media, blobs) for step in self.steps]
            row = 0
            for batch in batches:
                time_limit.current().row = row
                row += batch.num_rows
                results = []
                for planned, context in zip(self.steps, contexts, strict=True):
                    result = run_step(planned, batch, context, dropped_as)
                    results.append(result)
                    batch = result.kept if remove else result.annotated
                yield batch.select(schema.names).cast(schema), results
                media.forget()


def joint_images(steps: list[PlannedStep]) -> Images | None:
    """The size at which images are decoded for all of these steps: full size if any step needs full
    size, otherwise the largest size that a step needs. None if no step uses images."""
    wanted = [images for planned in steps if (images := planned.step.images()) is not None]
    if not wanted:
        return None
    sides = [images.min_side for images in wanted]
    return Images(None if None in sides else max(side or 0 for side in sides))


def joint_batch_rows(steps: list[PlannedStep]) -> int:
    """The number of rows in a batch for all of these steps: the smallest number that a step asks
    for, but not more than BATCH_ROWS, or IMAGE_BATCH_ROWS if a step uses images."""
    wanted = [rows for planned in steps if (rows := planned.step.batch_rows()) is not None]
    if min(wanted, default=1) < 1:
        sizes = [(planned.name, planned.step.batch_rows()) for planned in steps]
        names = ", ".join(name for name, rows in sizes if rows is not None and rows < 1)
        raise StepError(f"batch_rows is {min(wanted)}, but it must be 1 or more", f"step {names}")
    ours = BATCH_ROWS if joint_images(steps) is None else IMAGE_BATCH_ROWS
    return min([ours, *wanted])
