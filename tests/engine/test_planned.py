"""Rows are selected by the values of a column, as `only` in a recipe asks."""

from __future__ import annotations

import pyarrow as pa
import pytest

from curate.engine.planned import selected
from manifests.errors import StepError

ROWS = pa.table({"modality": ["caption", None, "grounding"], "count": [1, 2, 3]})


def test_rows_with_one_of_the_values_are_selected() -> None:
    assert selected(ROWS, "modality", ["caption", "video"], "x").tolist() == [True, False, False]
    assert selected(ROWS, "count", [2, 3], "x").tolist() == [False, True, True]


def test_a_value_that_the_column_cannot_have_is_refused_with_both() -> None:
    with pytest.raises(StepError) as raised:
        selected(ROWS, "count", ["many"], "step words")
    assert str(raised.value).startswith(
        "step words: the column 'count' has the type int64, which cannot be compared with the "
        "values ['many'] in `only`"
    )
    assert str(raised.value).endswith("Write values of the type int64 in `only`.")
