"""Templates that make file names from the columns of a table."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pydantic import ValidationError

from curate.ingest.captions.url_table import UrlTable
from curate.ingest.file_template import Template


@pytest.mark.parametrize("file", ["uid", "{}", "{uid", "{uid[1]}", "{uid}}", "{uid[a:b]}", ""])
def test_a_template_without_a_column_is_refused_with_an_example(file: str) -> None:
    with pytest.raises(ValidationError, match=r"it needs column names in braces"):
        UrlTable(name="w", path="*", media_root="m", file=file)


def test_a_template_is_null_if_any_of_its_columns_is_null_or_empty() -> None:
    columns = {"a": pa.array(["x", "", None, "é1"]), "b": pa.array([1, 2, 3, 4])}
    assert Template("p/{a[0:1]}-{b}.jpg").fill(columns) == ["p/x-1.jpg", None, None, "p/é-4.jpg"]
