"""`curate steps NAME`: the page of a step that the recipe names by its module."""

from __future__ import annotations

import pyarrow as pa
import pytest

from curate import cli
from manifests.step import Columns, Context, RowStep

HERE = "tests.inspect.test_steps_page:"


class Cap(RowStep):
    """Measure a limit."""

    def measures(self) -> dict[str, pa.DataType]:
        return {"limit": pa.int64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {"limit": pa.repeat(pa.scalar(1, pa.int64()), batch.num_rows)}


class PerLabel(RowStep):
    """Measure each of the labels."""

    labels: list[str]

    def measures(self) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.labels, pa.int64())

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {}


class Faulty(Cap):
    """A step with a mistake."""

    def measures(self) -> dict[str, pa.DataType]:
        return {"limit": self.limmit}  # type: ignore[attr-defined]


def page(capsys: pytest.CaptureFixture[str], name: str) -> str:
    assert cli.run(["steps", HERE + name]) == cli.OK
    return capsys.readouterr().out


def test_columns_have_the_name_of_the_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert "adds     Cap.limit: int64\n" in page(capsys, "Cap")


def test_measures_that_depend_on_a_required_setting_are_described_as_such(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = "adds     measures that depend on the settings ('labels')\n"
    assert expected in page(capsys, "PerLabel")


def test_a_mistake_of_a_step_is_not_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["steps", f"{HERE}Faulty"]) == cli.FAILED
    error = capsys.readouterr().err
    assert "unexpected AttributeError: 'Faulty' object has no attribute 'limmit'" in error
    assert "--debug" in error
    assert "Traceback" not in error


def test_the_lines_of_a_page_fit_into_100_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["steps", "judge"]) == cli.OK
    page = capsys.readouterr().out
    assert "default of criteria:" in page
    assert max(map(len, page.splitlines())) <= 100
