"""A lower and an upper bound on one measured number, both optional, both inclusive."""

from __future__ import annotations

from typing import Annotated, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.step import reasons

Share = Annotated[float, Field(ge=0, le=1)]


class Bounded(Protocol):
    """A step with a smallest and a largest value that stays; None: no such bound."""

    @property
    def min(self) -> float | None: ...

    @property
    def max(self) -> float | None: ...


B = TypeVar("B", bound=Bounded)


def check_min_max(step: B) -> B:
    """For a `model_validator`: refuses bounds that nothing can satisfy."""
    if step.min is not None and step.max is not None and step.min > step.max:
        raise ValueError(f"min {step.min} is over max {step.max}: nothing would stay")
    return step


def outside(step: Bounded, values: pa.Array, under: str, over: str) -> pa.Array:
    """The reason of each row whose value is under or over a bound, null for the others."""
    rules = [(pc.less(values, step.min), under)] if step.min is not None else []
    rules += [(pc.greater(values, step.max), over)] if step.max is not None else []
    return reasons(len(values), *rules)
