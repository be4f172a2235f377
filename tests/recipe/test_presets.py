"""Presets build, and every number has its evidence."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from curate import catalog
from curate.recipe.presets import Evidence, Preset, load_presets
from filters.text.language import Language
from manifests.step import RowStep, Step
from tests.filters.rows import answers, text_records

every = pytest.mark.parametrize("preset", load_presets().values(), ids=load_presets().keys())


def build(preset: Preset) -> list[Step]:
    return [
        catalog.resolve_step(name).model_validate(settings)
        for step in preset.steps
        for name, settings in step.items()
    ]


def steps(preset: Preset) -> list[RowStep]:
    return [step for step in build(preset) if isinstance(step, RowStep)]


@every
def test_presets_build(preset: Preset) -> None:
    assert len(build(preset)) == len(preset.steps)


def test_datacomp_basic_has_the_bounds_of_datacomp() -> None:
    words, characters, shape, language = steps(load_presets()["datacomp_basic"])
    assert answers(words, text_records("a b", "a b c"))["drop"] == ["too few words", None]
    assert answers(characters, text_records("a b c", "aa b c"))["drop"] == [
        "too few characters",
        None,
    ]
    assert shape.model_dump(exclude_none=True) == {"min_side": 200, "max_aspect": 3.0}
    assert language == Language(keep=("en",), max_chars=None)


def test_obelics_document_has_the_published_bounds() -> None:
    bounds = [
        step.model_dump(exclude_none=True) for step in steps(load_presets()["obelics_document"])
    ]
    assert bounds == [
        {"min": 1, "max": 30},
        {"min": 10, "max": 2000},
        {"n": 10, "max": 0.1},
        {"n": 5, "max": 0.2},
        {"max": 0.275},
        {"keep": ("en",), "min_score": 0.8},
    ]


SHORT = """
description: captions of three words or more
sources: {paper: A paper}
steps:
  - words:
      min: {value: 3, evidence: published, source: paper, detail: table 2, differs: split otherwise}
"""


def test_a_file_gives_each_setting_its_value_and_its_evidence() -> None:
    preset = Preset.model_validate(yaml.safe_load(SHORT))
    assert preset.steps == [{"words": {"min": 3}}]
    where = Evidence(kind="published", where="A paper: table 2", differs="split otherwise")
    assert preset.evidence == {"words.min": where}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("published", "rumoured", "Input should be 'published', 'documented' or 'ours'"),
        (
            "source: paper",
            "source: book",
            r"it lists \['paper'\], but the settings name \['book'\]",
        ),
        ("source: paper, ", "", "Field required"),
        ("min: {value", "min: {valeu", "Field required"),
        ("differs: split", "difers: split", "Extra inputs are not permitted"),
        (
            "  - words:",
            "  - characters: {}\n    words:",
            "a step must be one name with its settings",
        ),
    ],
)
def test_a_file_with_a_mistake_is_refused(before: str, after: str, message: str) -> None:
    assert before in SHORT
    with pytest.raises(ValidationError, match=message):
        Preset.model_validate(yaml.safe_load(SHORT.replace(before, after)))
