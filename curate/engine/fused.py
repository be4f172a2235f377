"""Fused steps: each batch goes through consecutive steps at once, and images are decoded once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from curate.engine.media_options import MediaOptions
from curate.engine.outcomes import StepResult, dropped_schema
from curate.engine.planned import PlannedStep, part_schema
from curate.engine.steps import run_step

BATCH_ROWS = 8192
"""Rows that fused steps handle at once (ours)."""
IMAGE_BATCH_ROWS = 128
"""Rows at once if a step looks at images, so that the decoded images fit in memory (ours)."""


class FusedSteps(NamedTuple):
    """Steps that run one after another on the same batch. `before`: the steps that ran earlier."""

    steps: list[PlannedStep]
    before: list[PlannedStep]

    @property
    def schema(self) -> pa.Schema:
        """The columns of a row after all steps."""
        return part_schema([*self.before, *self.steps])

    @property
    def image_side(self) -> int | None:
        """The largest image size, in pixels, that a step asks for; None if none looks at images."""
        sides = (getattr(planned.step, "image_side", None) or 0 for planned in self.steps)
        return max(sides, default=0) or None

    @property
    def batch_rows(self) -> int:
        return IMAGE_BATCH_ROWS if self.image_side else BATCH_ROWS

    def run(
        self, batches: Iterable[pa.Table], options: MediaOptions, remove: bool = True
    ) -> Iterator[tuple[pa.Table, list[StepResult]]]:
        """For each batch the rows after all steps, and the result of each step.

        With `remove` false no row is removed: each step measures also what a step before it drops.
        """
        schema = self.schema
        dropped_as = dropped_schema(schema)
        with contextlib.closing(options.open(self.image_side)) as media:
            for batch in batches:
                results = []
                for planned in self.steps:
                    result = run_step(planned, batch, media, dropped_as)
                    results.append(result)
                    batch = result.kept if remove else result.annotated
                yield batch.cast(schema), results
                media.forget()
