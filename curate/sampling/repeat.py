"""The step `repeat`: repeats records, so that trainers see them more than once."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt, model_validator

from curate.sampling.selection.ranking import numbers
from manifests import record
from manifests.errors import RowError
from manifests.step import Context, Reshaped, ReshapeStep, RowErrors

Times = Annotated[float, Field(ge=0, allow_inf_nan=False)] | str


class Repeat(ReshapeStep):
    """Repeat records: a record becomes as many records as `times` says.

    `times` is a number, or a column with a number for each record. With 2.3, a record becomes three
    records with a probability of 0.3, and otherwise two; the hash of the recipe's seed and the
    record's id decides. With 0, a record is dropped. A record without a number in the column
    becomes one record. A record with a negative or infinite number is quarantined. `only` names the
    records to repeat, such as those of sparse concepts:

        - repeat: {times: 3, only: {cluster.sparse: true}}

    The first of the records keeps its id; every other record has a new id. `of` is the id of the
    first, and `copy` is 0 for the first, then 1, 2 and so on. All other columns are the same. Put
    this step last: steps that look for duplicates find the copies.
    """

    version: ClassVar[int] = 1
    uses_seed: ClassVar[bool] = True

    times: Times = Field(description="how many records a record becomes: a number or a column")
    max: PositiveInt = Field(
        100, le=10_000, description="larger numbers in the column are replaced by this (our "
        "choice)"
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_times(self) -> Repeat:
        if isinstance(self.times, float) and self.times > self.max:
            raise ValueError(f"times {self.times:g} is over max {self.max}: raise max")
        return self

    def reads(self) -> tuple[str, ...]:
        return (self.times,) if isinstance(self.times, str) else ()

    def measures(self) -> dict[str, pa.DataType]:
        return {"of": pa.string(), "copy": pa.int32()}

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        errors = RowErrors(batch.num_rows)
        count = self._counts(batch, context.seed, errors)
        parents = np.repeat(np.arange(batch.num_rows), count)
        copy = np.arange(len(parents)) - np.repeat(np.cumsum(count) - count, count)
        rows = batch.select(record.SCHEMA.names).take(pa.array(parents))
        first = record.one_chunk(rows["id"])
        again = pa.array(copy > 0)
        new = record.child_ids(first.filter(again).to_pylist(), copy[copy > 0].tolist())
        ids = first if not len(new) else pa.array(_replaced(first.to_pylist(), copy, new))
        rows = rows.set_column(rows.schema.get_field_index("id"), "id", ids)
        none = np.array(["0 times" if n == 0 else None for n in count], object)
        failed = np.asarray(errors.table["kind"].is_valid())
        drop = pa.array(none, pa.string(), mask=failed)
        measures = {"of": first, "copy": pa.array(copy.astype(np.int32))}
        return Reshaped(rows, parents, measures, drop, errors)

    def _counts(self, batch: pa.Table, seed: int, errors: RowErrors) -> np.ndarray:
        """Returns how many records each row becomes, (rows,) int64. A row with an invalid number
        becomes 0 records, and gets an error in `errors`."""
        if isinstance(self.times, str):
            given = numbers(batch, self.times, "times")
            given = np.where(np.isnan(given), 1, given)
        else:
            given = np.full(batch.num_rows, self.times)
        wrong = (given < 0) | np.isposinf(given)
        for row in np.flatnonzero(wrong).tolist():
            fault = f"the number '{self.times}' is {given[row]}"
            errors.add(row, RowError(fault, fix="It must be finite, and not negative."))
        capped = np.minimum(np.where(wrong, 0, given), self.max)
        whole = np.floor(capped)
        uniform = record.uniform_numbers(record.random_keys(batch["id"], seed))
        counts: np.ndarray = (whole + (uniform < capped - whole)).astype(np.int64)
        return counts


def _replaced(ids: list[str], copy: np.ndarray, new: pa.Array) -> list[str]:
    """Returns `ids` with new ids for the rows in which `copy` is over 0. `new` has these new ids in
    the same order."""
    made = iter(new.to_pylist())
    return [next(made) if n else own for own, n in zip(ids, copy.tolist(), strict=True)]
