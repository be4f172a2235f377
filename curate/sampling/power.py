"""The step `power`: computes a weight as a power of a number."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeFloat, model_validator

from curate.sampling.selection.exponentials import exponential, logarithm
from curate.sampling.selection.ranking import numbers
from manifests.errors import RowError
from manifests.step import Context, Measured, RowErrors, RowStep


class Power(RowStep):
    """Weight records by a power of a number: `weight` is clip(number, floor, cap)^exponent.

    An exponent between 0 and 1 flattens: with 0.5, four times the number gives twice the weight. A
    negative exponent prefers small numbers. A record without the number has no weight. A record
    with a negative number is quarantined. If the exponent is negative and `floor` is 0, a record
    with the number 0 is quarantined too.
    """

    of: str = Field(description="column of the number, such as a measure of an earlier step")
    exponent: float = Field(description="exponent of the number", allow_inf_nan=False)
    floor: NonNegativeFloat = Field(0.0, description="smaller numbers are replaced by this")
    cap: NonNegativeFloat | None = Field(
        None, description="larger numbers are replaced by this; null: no cap"
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
    """Returns base^exponent, with the same bits on every machine. No base may be negative. 0^0 is
    1; any other power of 0 is 0."""
    positive = base > 0
    logs = logarithm(np.where(positive, base, 1.0))
    return np.where(positive, exponential(exponent * logs), float(exponent == 0))
