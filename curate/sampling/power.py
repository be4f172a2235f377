"""The step `power`: makes a weight of a number by an exponent."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeFloat, model_validator

from curate.sampling.selection.exponentials import exponential, logarithm
from curate.sampling.selection.ranking import numbers
from manifests.errors import RowError
from manifests.step import Context, Measured, RowErrors, RowStep


class Power(RowStep):
    """Weight records by a number of theirs: `weight` is clip(number, floor, cap)^exponent.

    An exponent between 0 and 1 flattens: with 0.5, four times the number is twice the weight. A
    negative one prefers small numbers. A record without the number has no weight; a negative number
    is quarantined, and so is 0 if the exponent is negative (set `floor`).
    """

    of: str = Field(description="column of the number, such as a measure of an earlier step")
    exponent: float = Field(description="exponent of the number", allow_inf_nan=False)
    floor: NonNegativeFloat = Field(0.0, description="smaller numbers count as this one")
    cap: NonNegativeFloat | None = Field(
        None, description="larger numbers count as this one; null: no cap"
    )

    @model_validator(mode="after")
    def _check_floor(self) -> Power:
        if self.cap is not None and self.floor > self.cap:
            raise ValueError(f"floor {self.floor} is over cap {self.cap}")
        return self

    def reads(self) -> tuple[str, ...]:
        return (self.of,)

    def measures(self) -> dict[str, pa.DataType]:
        return {"weight": pa.float64()}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        given, errors = numbers(batch, self.of, "of"), RowErrors(batch.num_rows)
        clipped = np.clip(given, self.floor, np.inf if self.cap is None else self.cap)
        for row in np.flatnonzero(given < 0).tolist():
            errors.add(row, RowError(f"the number '{self.of}' is {given[row]}, which is negative"))
        if self.exponent < 0:
            for row in np.flatnonzero(clipped == 0).tolist():
                fault = f"the number '{self.of}' is 0, which has no negative power"
                errors.add(row, RowError(fault, fix="Set `floor` of the step `power`."))
        weights = power(clipped, self.exponent)
        return Measured({"weight": pa.array(weights, mask=np.isnan(given))}, errors)


def power(base: np.ndarray, exponent: float) -> np.ndarray:
    """Returns base^exponent of numbers that are not negative, with the same bits on every machine;
    of 0 it is 1 if the exponent is 0, otherwise 0."""
    positive = base > 0
    logs = logarithm(np.where(positive, base, 1.0))
    return np.where(positive, exponential(exponent * logs), float(exponent == 0))
