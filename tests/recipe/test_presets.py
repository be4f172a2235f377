"""Presets are steps that build, with evidence for every number."""

from __future__ import annotations

import pytest

from curate import catalog
from curate.recipe.presets import PRESETS, Preset
from filters.text.language import Language
from manifests.step import RowStep, Step
from tests.filters.rows import answers, of_texts

every = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS.keys())


def built(preset: Preset) -> list[Step]:
    return [
        catalog.resolve_step(name).model_validate(settings)
        for step in preset.steps
        for name, settings in step.items()
    ]


def steps(preset: Preset) -> list[RowStep]:
    return [step for step in built(preset) if isinstance(step, RowStep)]


@every
def test_presets_build(preset: Preset) -> None:
    assert len(built(preset)) == len(preset.steps)


@every
def test_every_number_has_evidence_and_no_evidence_is_without_number(preset: Preset) -> None:
    settings = {f"{n}.{s}" for step in preset.steps for n, given in step.items() for s in given}
    assert settings == set(preset.evidence)
    assert all(evidence.where for evidence in preset.evidence.values())


def test_datacomp_basic_draws_its_lines_where_datacomp_does() -> None:
    words, characters, shape, language = steps(PRESETS["datacomp_basic"])
    assert answers(words, of_texts("a b", "a b c"))["drop"] == ["too few words", None]
    assert answers(characters, of_texts("a b c", "aa b c"))["drop"] == ["too few characters", None]
    assert shape.model_dump(exclude_none=True) == {"min_side": 200, "max_aspect": 3.0}
    assert language == Language(keep=("en",), max_chars=None)


def test_obelics_document_has_the_published_bounds() -> None:
    bounds = [step.model_dump(exclude_none=True) for step in steps(PRESETS["obelics_document"])]
    assert bounds == [
        {"min": 1, "max": 30},
        {"min": 10, "max": 2000},
        {"n": 10, "max": 0.1},
        {"n": 5, "max": 0.2},
        {"max": 0.275},
        {"keep": ("en",), "min_score": 0.8},
    ]
