"""The contract of a step. There are three kinds: row, reshape and corpus steps.

A step is a frozen model. Its fields are its settings in the recipe and its identity; its docstring
is its manual page. It answers for every row, in order, and removes none: only the engine removes
rows.
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
    """What every step has. Raise `version` if the same settings would now answer differently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    renamed: ClassVar[dict[str, str]] = {}
    """Old names of settings and measures, each with its new name. A recipe that uses an old name is
    refused, with the new name in the message."""
    measures: ClassVar[dict[str, pa.DataType]] = {}
    """The columns of measurements that the step adds, by name; a recipe sees `<step>.<measure>`."""
    rewrites: ClassVar[tuple[str, ...]] = ()
    """The columns of the record that the step replaces."""

    def files(self, base: str) -> tuple[str, ...]:
        """Full paths of the files that the answers depend on.

        `base` is the folder of relative paths in the settings. Names and digests of the files are
        part of the step's identity.
        """
        return ()

    def notes(self, base: str) -> tuple[str, ...]:
        """Remarks on these settings for the user, printed before a run starts."""
        return ()


class RowStep(Step):
    """A step that answers for one batch of records at a time."""

    image_side: ClassVar[int | None] = None
    """The shorter side, in pixels, at which the step needs images; None: it needs no images."""

    @abstractmethod
    def __call__(self, batch: pa.Table, media: Media) -> Outcome: ...


class ReshapeStep(Step):
    """A step that makes new records from a batch of records.

    A new record has the id of the record that it replaces, or one of `record.child_ids`. The
    engine counts the rows in and the rows made.
    """

    @abstractmethod
    def __call__(self, batch: pa.Table, media: Media) -> pa.Table: ...


class CorpusStep(Step):
    """A step that answers for the complete corpus, from a few columns of it."""

    def reads(self) -> tuple[str, ...]:
        """The columns it reads: of the record, or measures of earlier steps."""
        return ("id",)

    def required_steps(self) -> dict[str, RowStep]:
        """Row steps whose measures it reads, by name. The engine adds those the recipe lacks."""
        return {}

    @abstractmethod
    def decide(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> Iterator[tuple[Part, Outcome]]:
        """An outcome for every part, with a value for each row of `corpus.read(part)`."""
