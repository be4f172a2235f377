"""The contract of a step. There are three kinds: row, reshape and corpus steps.

A step is a frozen model. Its fields are its settings in the recipe and its identity; its docstring
is its manual page. It answers for every row, in order, and removes none: only the engine removes
rows. Steps that send requests to models and steps that group rows are further kinds; they come
with their first users.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from manifests.step.context import Context
from manifests.step.corpus import Corpus, Worker, Workspace
from manifests.step.needs import Bound, Images, Location, ModelIdentity, Resources
from manifests.step.outcome import Columns, Measured, Outcome, Reshaped


class Step(BaseModel):
    """What every step has. Raise `version` if the same settings would now answer differently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    renamed: ClassVar[dict[str, str]] = {}
    """Old names of settings and measures, each with its new name. A recipe that uses an old name is
    refused, with the new name in the message."""
    rewrites: ClassVar[tuple[str, ...]] = ()
    """The columns of the record that the step replaces."""
    uses_seed: ClassVar[bool] = False
    """Whether its answers depend on the recipe's seed, given as `context.seed`."""

    def resources(self) -> Resources:
        """What a worker needs that runs the step. A pass ends where this changes."""
        return Resources()

    def batch_rows(self) -> int | None:
        """The number of rows that the step wants at a time; None: the engine chooses."""
        return None

    def images(self) -> Images | None:
        """The size at which the step looks at images; None: it looks at none."""
        return None

    def reads(self) -> tuple[str, ...]:
        """The columns it is given: of the record, or measures of earlier steps as `step.measure`.
        They are checked before a run starts."""
        return ()

    def measures(self) -> dict[str, pa.DataType]:
        """The columns of measurements it adds, by name; a recipe sees `<step>.<measure>`."""
        return {}

    def files(self, base: str) -> tuple[str, ...]:
        """Full paths of the files that the answers depend on.

        `base` is the folder of relative paths in the settings. Names and digests of the files are
        part of the step's identity.
        """
        return ()

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        """The models that the answers depend on; part of the step's identity."""
        return ()

    def notes(self, base: str) -> tuple[str, ...]:
        """Remarks on these settings for the user, printed before a run starts."""
        return ()

    def load(self, worker: Worker) -> Any:
        """Called once in every worker process, before its first batch: what it returns is
        `context.model`. If that has a method `close`, it is called at the end."""
        return None

    @classmethod
    def marked(cls, mark: type[Bound] | type[Location]) -> tuple[str, ...]:
        """The names of the settings that are marked so."""
        fields = cls.model_fields.items()
        return tuple(n for n, f in fields if any(isinstance(m, mark) for m in f.metadata))


class RowStep(Step):
    """A step that measures a batch of records, and decides by the measures which to drop."""

    costs: ClassVar[bool] = False
    """Whether measuring is expensive (a model, a request): then the step has a pass of its own,
    its measures are kept, a changed `Bound` measures nothing again, and a crash loses seconds."""

    @abstractmethod
    def measure(self, batch: pa.Table, context: Context) -> Columns | Measured:
        """The measures and rewritten columns of every row, in order. The batch has the columns of
        `reads`. Settings that are marked `Bound` have their defaults here."""

    def decide(self, measured: pa.Table) -> pa.Array | None:
        """The reason to drop each row, null to keep it; None keeps all. Cheap, and by the columns
        that `measure` returned alone: it is asked again whenever a bound changes."""
        return None


class ReshapeStep(Step):
    """A step that makes new records from a batch of records.

    A new record has the id of the record that it replaces, or one of `record.child_ids`.
    """

    @abstractmethod
    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        """New records. The batch has all columns of the record, and those of `reads`."""


class CorpusStep(Step):
    """A step that looks at the complete corpus, through a few columns, then answers part by part.

    No row passes through the process that drives the run: `fit` leaves files, and `apply` runs on
    the workers.
    """

    def required_steps(self) -> dict[str, RowStep]:
        """Row steps whose measures it reads, by name. The engine adds those the recipe lacks."""
        return {}

    @abstractmethod
    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Any:
        """Look at the corpus, in phases. Returns a small value that is sent to the workers: paths
        of files that it wrote to `workspace`, numbers."""

    @abstractmethod
    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        """The answer for all rows of `context.part`, with the columns of `reads`."""
