"""Helpers for steps that drop rows whose value is under a minimum or over a maximum. Both bounds
are optional and inclusive."""

from __future__ import annotations

from typing import Annotated, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.step import reasons

Share = Annotated[float, Field(ge=0, le=1)]


class Bounded(Protocol):
    """A step that keeps the rows whose value is from `min` to `max`. If a bound is None, it is not
    applied."""

    @property
    def min(self) -> float | None: ...

    @property
    def max(self) -> float | None: ...


B = TypeVar("B", bound=Bounded)


def check_min_max(step: B) -> B:
    """Returns the step unchanged. Raises ValueError if its minimum is over its maximum. Steps use
    this function as a pydantic `model_validator`."""
    if step.min is not None and step.max is not None and step.min > step.max:
        raise ValueError(f"min {step.min} is over max {step.max}: no row can pass")
    return step


def outside(step: Bounded, values: pa.Array, under: str, over: str) -> pa.Array:
    """Returns the drop reason of each row: the text `under` if the value is less than `step.min`,
    the text `over` if the value is greater than `step.max`, otherwise null.

    If `step.min` is 3:
    `outside(step, [2, 3, null], "too few", "too many") -> ["too few", null, null]`
    """
    rules = [(pc.less(values, step.min), under)] if step.min is not None else []
    rules += [(pc.greater(values, step.max), over)] if step.max is not None else []
    return reasons(len(values), *rules)
