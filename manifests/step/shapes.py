"""The contract of a step: three shapes and no more.

A step is its parameters: a frozen model whose fields are the YAML and whose docstring is the
manual page. It answers every row, in order, and removes none; the engine alone removes rows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from manifests.media.media import Media
from manifests.step.corpus import Corpus, Part, Workspace
from manifests.step.outcome import Outcome


class Step(BaseModel):
    """What every step has. `version` goes up when the same settings would answer differently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    renamed: ClassVar[dict[str, str]] = {}
    """Old names of settings and measures, each with its name now: a recipe that uses an old one
    is refused with the new one."""
    measures: ClassVar[dict[str, pa.DataType]] = {}
    rewrites: ClassVar[tuple[str, ...]] = ()

    def files(self, base: str) -> tuple[str, ...]:
        """Full paths of files the answers depend on, relative ones of settings lying below `base`;
        their names and digests are part of the step's identity."""
        return ()

    def notes(self, base: str) -> tuple[str, ...]:
        """What a user should know of these settings before a run starts."""
        return ()


class RowStep(Step):
    """Looks at one batch of records."""

    image_side: ClassVar[int | None] = None
    """The shorter side, in pixels, of the images it asks `media` for; None for no images."""

    @abstractmethod
    def __call__(self, batch: pa.Table, media: Media) -> Outcome: ...


class ReshapeStep(Step):
    """Makes new records out of old ones; the engine counts what came and what was made.

    A made record keeps the id of the record it continues, or takes `record.child_ids`.
    """

    @abstractmethod
    def __call__(self, batch: pa.Table, media: Media) -> pa.Table: ...


class CorpusStep(Step):
    """Looks at the whole corpus through a few narrow columns."""

    def reads(self) -> tuple[str, ...]:
        """The columns it looks at: of the record, or measures of steps before it."""
        return ("id",)

    def measured_by(self) -> dict[str, RowStep]:
        """Row steps it needs to have run, by name; the engine runs those the recipe has not."""
        return {}

    @abstractmethod
    def decide(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> Iterator[tuple[Part, Outcome]]:
        """An outcome for every part, aligned with the rows that `corpus.read(part)` gives."""
