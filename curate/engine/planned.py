"""A step as a recipe places it: its name in this run, its settings, and the rows it is for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import record, storage
from manifests.errors import StepError
from manifests.step import CorpusStep, Outcome, ReshapeStep, RowStep, Step
from manifests.storage.digest import file_digest


class PlannedStep(NamedTuple):
    """`name` is unique in the run: the step's key, with -2, -3 where the key is used again.

    `only`: for each column the values of the rows that the step is for; None: all rows.
    `required_steps`: the names in this run of the row steps that a corpus step needs.
    """

    name: str
    step: Step
    only: dict[str, list[Any]] | None = None
    required_steps: dict[str, str] | None = None

    @property
    def shape(self) -> str:
        """`row`, `reshape` or `corpus`."""
        shapes = {"row": RowStep, "corpus": CorpusStep, "reshape": ReshapeStep}
        return next(shape for shape, kind in shapes.items() if isinstance(self.step, kind))

    @property
    def measures(self) -> dict[str, pa.DataType]:
        """The step's measures under the names they have in this run: `words-2.count`."""
        return {f"{self.name}.{m}": kind for m, kind in self.step.measures.items()}

    def in_run(self, column: str) -> str:
        """The name in this run of a column that the step reads."""
        step, _, measure = column.partition(".")
        known = (self.required_steps or {}).get(step)
        return f"{known}.{measure}" if known else column

    def identity(self, base: str) -> dict[str, Any]:
        """All that decides the step's answers: its class, version, parameters, `only`, and the
        names and digests of the files its settings name."""
        kind = type(self.step)
        return {
            "name": self.name,
            "kind": f"{kind.__module__}:{kind.__qualname__}",
            "version": kind.version,
            "parameters": self.step.model_dump(mode="json"),
            "only": self.only,
            "files": [[storage.base_name(uri), _digest(uri)] for uri in self.step.files(base)],
        }

    def row_mask(self, batch: pa.Table) -> np.ndarray | None:
        """bool (rows,): the rows that `only` selects; None for all of them."""
        if self.only is None:
            return None
        mask = np.ones(batch.num_rows, bool)
        for column, allowed in self.only.items():
            if column not in batch.column_names:
                raise StepError(
                    f"there is no column '{column}' here", f"steps.{self.name}.only",
                    f"There are: {', '.join(batch.column_names)}.",
                )  # fmt: skip
            values = pa.array(allowed, from_pandas=False)
            if values.type != batch.schema.field(column).type:
                values = values.cast(batch.schema.field(column).type)
            mask &= np.asarray(pc.is_in(batch[column], values))
        return mask

    def checked(self, outcome: Outcome, rows: int) -> Outcome:
        """The outcome under this run's column names; `drop` and `error` are arrays, never None.

        Raises StepError if a column is missing, is not declared, or has not `rows` values.
        """
        rewrites = {name: record.SCHEMA.field(name).type for name in self.step.rewrites}
        expected = {**self.step.measures, **rewrites}
        if set(outcome.columns) != set(expected):
            given, declared = sorted(outcome.columns), sorted(expected)
            raise StepError(f"answered with columns {given}, not {declared}", f"step {self.name}")
        columns = {
            name if name in rewrites else f"{self.name}.{name}": self._column(
                outcome.columns[name], name, rows
            ).cast(kind)
            for name, kind in expected.items()  # in whatever order the step answers
        }
        return Outcome(
            columns, self._verdict(outcome.drop, rows), self._verdict(outcome.error, rows)
        )

    def _column(self, value: pa.Array, name: str, rows: int) -> pa.Array:
        if len(value) != rows:
            raise StepError(f"{len(value)} values for {rows} rows in '{name}'", f"step {self.name}")
        return record.one_chunk(value)

    def _verdict(self, value: pa.Array | None, rows: int) -> pa.Array:
        if value is None:
            return pa.nulls(rows, pa.string())
        return self._column(value, "drop", rows).cast(pa.string())


def _digest(uri: str) -> str:
    return _digest_of_version(uri, storage.size_and_stamp(uri))


@lru_cache(maxsize=4096)
def _digest_of_version(uri: str, size_and_stamp: tuple[int, int] | None) -> str:
    """The digest of a file, read once as long as its size and time stay the same."""
    return file_digest(uri)


def part_schema(steps: list[PlannedStep]) -> pa.Schema:
    """The columns of a part after these steps: the record, then the measures of each step."""
    fields = list(record.SCHEMA)
    fields += [pa.field(n, t) for s in steps for n, t in s.measures.items()]
    return pa.schema(fields)
