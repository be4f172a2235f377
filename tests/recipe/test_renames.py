"""A recipe that uses an old name is refused with the new one, at the line where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from curate import catalog, recipe
from curate.ingest.captions.folder import Folder
from manifests.errors import RecipeError
from manifests.step import Columns, Context, RowStep

HERE = "tests.recipe.test_renames"
SOURCES = "name: r\nsources:\n  - {name: web, reader: folder, path: data}\n"


class Length(RowStep):
    """A step whose setting `min` was once `least`, and its measure `count` once `size`."""

    renamed: ClassVar[dict[str, str]] = {"least": "min", "size": "count"}
    min: int

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        return {"count": pa.nulls(batch.num_rows, pa.int32())}


class OldFolder(Folder):
    """A reader whose setting `ending` was once `suffix`."""

    renamed: ClassVar[dict[str, str]] = {"suffix": "ending"}
    ending: str


def refusal(tmp_path: Path, text: str) -> str:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        recipe.load(str(tmp_path / "r.yaml"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (f"  - {HERE}:Length: {{least: 3}}\n",
         f"r.yaml:5: steps[0].{HERE}:Length.least: 'least' is now called "
         "'min': write the new name."),
        (f"  - {HERE}:Length: {{min: 3}}\n  - words: {{only: {{Length.size: 4}}}}\n",
         "r.yaml:6: steps[1].words.only: 'Length.size' is now called "
         "'Length.count': write the new name."),
        (f"  - {HERE}:Length: {{min: 3}}\n  - duplicates: {{by: text, keep: [-Length.size]}}\n",
         "r.yaml:6: steps[1].duplicates: 'Length.size' is now called "
         "'Length.count': write the new name."),
        (f"  - {HERE}:Length: {{min: 3}}\nshards: {{columns: [Length.count, Length.size]}}\n",
         "r.yaml:6: shards.columns: 'Length.size' is now called "
         "'Length.count': write the new name."),
    ],
)  # fmt: skip
def test_an_old_setting_or_measure_of_a_step_is_refused_with_its_new_name(
    tmp_path: Path, steps: str, message: str
) -> None:
    assert refusal(tmp_path, SOURCES + "steps:\n" + steps) == message


def test_an_old_setting_of_a_reader_is_refused_with_its_new_name(tmp_path: Path) -> None:
    source = f"  - {{name: web, reader: '{HERE}:OldFolder', path: data, suffix: .txt}}\n"
    message = "r.yaml:3: sources[0].suffix: 'suffix' is now called 'ending': write the new name."
    assert refusal(tmp_path, "name: r\nsources:\n" + source) == message


def test_old_steps_and_readers_and_measures_of_old_steps_are_refused_with_their_new_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalog.RENAMED_STEPS, "terms", "words")
    monkeypatch.setitem(catalog.RENAMED_READERS, "directory", "folder")
    steps = SOURCES + "steps:\n  - words: {}\n"
    assert refusal(tmp_path, SOURCES + "steps:\n  - terms: {min: 3}\n") == (
        "r.yaml:5: steps[0].terms: 'terms' is now called 'words': write the new name."
    )
    assert refusal(tmp_path, SOURCES.replace("folder", "directory")) == (
        "r.yaml:3: sources[0].reader: 'directory' is now called 'folder': write the new name."
    )
    assert refusal(tmp_path, steps + "shards: {columns: [terms.count]}\n") == (
        "r.yaml:6: shards.columns: 'terms.count' is now called 'words.count': write the new name."
    )
    assert refusal(tmp_path, steps + "shards: {columns: [terms-2.count]}\n") == (
        "r.yaml:6: shards.columns: 'terms-2.count' is now called "
        "'words-2.count': write the new name."
    )


def test_every_renamed_step_and_reader_is_one_of_the_catalog() -> None:
    assert set(catalog.RENAMED_STEPS.values()) <= set(catalog.STEPS)
    assert set(catalog.RENAMED_READERS.values()) <= set(catalog.READERS)
    assert not set(catalog.RENAMED_STEPS) & set(catalog.STEPS)
    assert not set(catalog.RENAMED_READERS) & set(catalog.READERS)
