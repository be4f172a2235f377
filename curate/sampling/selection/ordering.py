"""Ranks records by a column: the setting that names a column and a direction, such as
`-cluster.density`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.sampling.selection.ranking import numbers

Order = Annotated[str, Field(pattern=r"^-?[^-]")]
"""A column of numbers. The records with the lowest values come first; with `-` before the name,
those with the highest."""


def column_of(order: str) -> str:
    return order.removeprefix("-")


def ordered_ranks(rows: pa.Table, order: str, setting: str) -> np.ndarray:
    """Returns a float64 rank for each row; NaN for a row without a value. Rows with the lowest
    ranks come first. `setting` is the setting that names the column, for error messages."""
    values = numbers(rows, column_of(order), setting)
    return -values if order.startswith("-") else values
