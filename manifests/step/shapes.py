"""The contract of a step. There are three kinds: row, reshape and corpus steps.

A step is a frozen model. Its fields are its settings in the recipe and its identity; its docstring
is its manual page. It answers for every row, in order, and removes none: only the engine removes
rows. Two further kinds are planned: steps that send requests to models, and steps that group rows.
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
    """What every step has. Raise `version` if the same settings would now give different
    answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    renamed: ClassVar[dict[str, str]] = {}
    """Old names of settings and measures, each with its new name. A recipe that uses an old name is
    refused, with the new name in the message."""
    rewrites: ClassVar[tuple[str, ...]] = ()
    """The columns of the record that the step replaces."""
    stores_bytes: ClassVar[bool] = False
    """Whether it stores bytes with `context.blobs`. A pass ends after such a step, so that later
    steps can read them."""
    uses_seed: ClassVar[bool] = False
    """Whether its answers depend on the recipe's seed, given as `context.seed`."""

    def resources(self) -> Resources:
        """What a worker needs to run the step. A new pass starts at a step that needs something
        else."""
        return Resources()

    def batch_rows(self) -> int | None:
        """The number of rows that the step wants at a time; None: the engine chooses."""
        return None

    def images(self) -> Images | None:
        """The size at which the step looks at images; None if it does not look at images."""
        return None

    def reads(self) -> tuple[str, ...]:
        """The columns that the step is given: columns of the record, or measures of earlier steps
        as `step.measure`. They are checked before a run starts."""
        return ()

    def measures(self) -> dict[str, pa.DataType]:
        """The types of the columns of measures that the step adds, by name. In a recipe a measure
        is named `<step>.<measure>`."""
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
        """Called once in every worker process, before its first batch. The returned object becomes
        `context.model`; if it has a method `close`, that is called at the end."""
        return None

    @classmethod
    def marked(cls, mark: type[Bound] | type[Location]) -> tuple[str, ...]:
        """The names of the settings that are marked with `mark`."""
        fields = cls.model_fields.items()
        return tuple(n for n, f in fields if any(isinstance(m, mark) for m in f.metadata))


class RowStep(Step):
    """A step that measures the records of a batch, and decides from the measures which records to
    drop."""

    costs: ClassVar[bool] = False
    """Whether measuring is expensive (a model, a request): then the step has a pass of its own,
    its measures are kept, a changed `Bound` measures nothing again, and a crash loses seconds."""

    @abstractmethod
    def measure(self, batch: pa.Table, context: Context) -> Columns | Measured:
        """The measures and rewritten columns of every row, in order. The batch has the columns of
        `reads`. While it runs, settings that are marked `Bound` have their defaults."""

    def decide(self, measured: pa.Table) -> pa.Array | None:
        """The reason to drop each row, null to keep it; None keeps all rows. It must be cheap, and
        depend on nothing but the columns that `measure` returned, because it is called again
        whenever a bound changes."""
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
        """Row steps whose measures this step reads, by name. The engine adds those that the recipe
        does not have."""
        return {}

    @abstractmethod
    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Any:
        """Look at the corpus, in phases. Returns a small value that is sent to the workers: paths
        of files that it wrote to `workspace`, numbers."""

    @abstractmethod
    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        """The answer for all rows of `context.part`, with the columns of `reads`."""
