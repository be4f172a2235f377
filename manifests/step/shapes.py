"""The base classes of steps. There are three kinds: row, reshape and corpus steps.
`request_step` has the base class of row steps that ask a generative model.

A step is a frozen pydantic model. Its fields are its settings in the recipe, and they are part of
its identity. Its docstring is its manual page. A step returns a result for every row, in order, and
removes no rows: only the engine removes rows.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, PrivateAttr, field_validator

from manifests.setting_values import plain_number
from manifests.step.context import Context
from manifests.step.corpus import Corpus, Worker, Workspace
from manifests.step.needs import Bound, Images, Location, ModelIdentity, Resources
from manifests.step.outcome import Columns, Measured, Outcome, Reshaped


class Step(BaseModel):
    """The base class of all steps. Increase `version` if a change of the code makes the step return
    other results for the same settings. `renamed`: old names of settings and measures, with the new
    name of each. `rewrites`: the columns of the record that the step replaces. `stores_bytes`:
    whether the step stores bytes, such as cropped images. `uses_seed`: whether the results depend
    on the recipe's seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    renamed: ClassVar[dict[str, str]] = {}
    """Old names of settings and measures, with the new name of each. If a recipe uses an old name,
    it is refused, and the message gives the new name."""
    rewrites: ClassVar[tuple[str, ...]] = ()
    """The columns of the record that the step replaces."""
    stores_bytes: ClassVar[bool] = False
    """Whether the step stores bytes with `context.blobs`. The steps after it then run separately,
    because they can read these bytes only when they are all written."""
    uses_seed: ClassVar[bool] = False
    """Whether the results of the step depend on the recipe's seed. If so, the recipe's seed is part
    of `context.seed`."""

    _plain_numbers = field_validator("*", mode="before")(plain_number)
    _maker: Step | None = PrivateAttr(None)

    def named_sources(self) -> tuple[str, ...]:
        """Returns the names of the recipe's sources that the settings name, such as the sources of
        a pool. If one of these sources is not in the recipe, the recipe is refused."""
        return ()

    def made_by(self) -> str | None:
        """Returns the name of a column if this step needs the step that made the column, for
        example to embed items with the model that embedded the records. The column must be a
        measure of an earlier step; the engine provides that step as `maker`."""
        return None

    @property
    def maker(self) -> Step | None:
        """The step that makes the column which the method `made_by` names."""
        return self._maker

    def with_maker(self, maker: Step) -> Self:
        """Returns a copy of the step whose property `maker` is the given step. Raises ValueError if
        the given step cannot be used."""
        copy = self.model_copy()
        copy._maker = maker
        return copy

    def resources(self) -> Resources:
        """Returns the resources that a worker needs to run the step. If they differ from those of
        the step before it, the two steps do not run in the same tasks."""
        return Resources()

    def batch_rows(self) -> int | None:
        """Returns the maximum number of rows in a batch that the step gets; None if the engine may
        choose this number."""
        return None

    def images(self) -> Images | None:
        """Returns the minimum size of the images that the step needs; None if the step does not use
        images."""
        return None

    def reads(self) -> tuple[str, ...]:
        """Returns the columns of the batches that the step is given: columns of the record, or
        measures of earlier steps, named `step.measure`. The engine checks before a run starts that
        the columns exist."""
        return ()

    def measures(self) -> dict[str, pa.DataType]:
        """Returns the measures that the step adds: the name and the type of each column. In a
        recipe a measure is named `<step>.<measure>`."""
        return {}

    def files(self, base: str) -> tuple[str, ...]:
        """Returns the full paths of the files that the results of the step depend on.

        `base` is the folder of relative paths in the settings. The digests of the files, in this
        order, are part of the step's identity; their paths are not.
        """
        return ()

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        """Returns the models that the results of the step depend on. The models are part of the
        step's identity. `base` is the folder of relative paths in the settings."""
        return ()

    def notes(self, base: str) -> tuple[str, ...]:
        """Returns remarks on the step's settings for the user, which are printed before a run
        starts. `base` is the folder of relative paths in the settings."""
        return ()

    def load(self, worker: Worker) -> Any:
        """Load what the step needs, such as a model. The engine calls this method once in every
        worker process that processes rows of the step, before the first batch. The returned object
        becomes `context.model`. If the object has a method `close`, the engine calls `close` at the
        end."""
        return None

    @classmethod
    def marked(cls, mark: type[Bound] | type[Location]) -> tuple[str, ...]:
        """Returns the names of the settings that are annotated with `mark`, such as `Bound`."""
        fields = cls.model_fields.items()
        return tuple(n for n, f in fields if any(isinstance(m, mark) for m in f.metadata))


class RowStep(Step):
    """A step that measures the records of a batch, and then decides from the measures which records
    to drop. `costs` is true if it is expensive to measure a record."""

    costs: ClassVar[bool] = False
    """Whether it is expensive to measure a record, for example with a model or a request. If so,
    the step runs separately from other steps, and its measures are stored. Then a changed `Bound`
    does not cause new measurements, and a crash loses only seconds of work."""

    @abstractmethod
    def measure(self, batch: pa.Table, context: Context) -> Columns | Measured:
        """Returns the measures and the rewritten columns of every row, in order. The batch has the
        columns of `reads`. While this method runs, settings that are marked `Bound` have their
        default values."""

    def decide(self, measured: pa.Table) -> pa.Array | None:
        """Returns a column with the drop reason of each row; null if the row is kept. Returns None,
        not a column, if all rows are kept. This method must be cheap, because it is called again
        whenever a setting marked `Bound` changes. Besides the settings it may use only the columns
        that `measure` returned."""
        return None


class ReshapeStep(Step):
    """A step that makes new records from a batch of records.

    A new record has the id of the record that it replaces, or an id that `record.child_ids` makes.
    """

    @abstractmethod
    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        """Returns the new records. The batch has all columns of the record, and the columns of
        `reads`."""


class CorpusStep(Step):
    """A step that first reads a few columns of the complete corpus (`fit`), and then returns a
    result for each part of the corpus (`apply`). A part is a group of records in one file.

    The driver process of the run never reads the rows: `fit` writes files, and `apply` runs on the
    workers.
    """

    def required_steps(self) -> dict[str, RowStep]:
        """Returns the row steps whose measures this step reads, by name. If the recipe does not
        have one of them, the engine adds it."""
        return {}

    @abstractmethod
    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Any:
        """Read the corpus, in phases (see `Workspace`). Returns a small value that is sent to the
        workers, such as numbers and the paths of files that were written to `workspace`."""

    @abstractmethod
    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        """Returns the result for all `rows` of `context.part`, a group of records in one file.
        `rows` has the columns of `reads`, and `fit` is the value that the method `fit` returned."""
