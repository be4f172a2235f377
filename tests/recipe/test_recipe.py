"""A mistake in a recipe is refused before any work, with line, field and nearest spelling."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from curate import recipe
from curate.engine.plan import notes
from manifests.errors import RecipeError
from tests.runs import caption_recipe

GOOD = """\
name: captions
seed: 17
sources:
  - {name: web, reader: webdataset, path: "data/*.tar"}
steps:
  - words: {min: 3}
  - image_shape: {min_side: 64}
  - words:
      max: 20
      only: {modality: caption}
"""


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def writing(text: str, name: str = "recipe.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return writing


def test_a_source_in_only_that_the_recipe_does_not_have_is_named_in_a_note(write) -> None:  # type: ignore[no-untyped-def]
    text = GOOD.replace("modality: caption", "source: [web, wob]")
    assert notes(recipe.load(write(text))) == [
        "words-2: only: there is no source named 'wob'. Did you mean 'web'?"
    ]


def test_steps_keep_their_order_and_the_second_of_a_kind_gets_a_number(write) -> None:  # type: ignore[no-untyped-def]
    loaded = recipe.load(write(GOOD))
    assert [s.name for s in loaded.steps] == ["words", "image_shape", "words-2"]
    assert loaded.steps[2].only == {"modality": ["caption"]}
    assert loaded.recipe.seed == 17


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("modality: caption", "modality: captoin",
         "recipe.yaml:10: steps[2].words.only.modality: only: there is no modality named "
         "'captoin'. Did you mean 'caption'?"),
        ("min: 3", "mim: 3",
         ("recipe.yaml:6: steps[0].words.mim: there is no setting named 'mim'. Did you mean "
         "'min'?")),
        ("image_shape", "image_shap",
         "recipe.yaml:7: steps[1].image_shap: no step named 'image_shap'. "
         "Did you mean 'image_shape'?"),
        ("webdataset", "webdatset",
         "recipe.yaml:4: sources[0].reader: no reader named 'webdatset'. "
         "Did you mean 'webdataset'?"),
        ("seed: 17", "sead: 17",
         "recipe.yaml:2: sead: there is no setting named 'sead'. Did you mean 'seed'?"),
        ("min: 3", "min: three", "recipe.yaml:6: steps[0].words.min: Input should be a valid "
         "integer, unable to parse string as an integer (not 'three')."),
        ("name: captions", "name: 'a b'", "recipe.yaml:1: name: String should match pattern "
         "'^[\\w.-]+$' (not 'a b')."),
        ("seed: 17", "seed: 17\nseed: 18", "recipe.yaml:3: the key 'seed' occurs twice"),
        ("{min: 3}", "3", ("recipe.yaml:6: steps[0]: the step 'words' needs a mapping of "
                          "settings, not 3.")),
        ("{modality: caption}", "caption",
         ("recipe.yaml:10: steps[2].words.only: only: the value must be a mapping, `column: "
         "value` or `column: [values]`.")),
        ("path: \"data/*.tar\"", "pth: x", ("recipe.yaml:4: sources[0].path: the setting "
                                           "'path' is missing.")),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_line_field_and_fix(write, before, after, message) -> None:  # type: ignore[no-untyped-def]
    assert before in GOOD
    with pytest.raises(RecipeError) as caught:
        recipe.load(write(GOOD.replace(before, after, 1)))
    assert str(caught.value) == message


def test_settings_from_the_command_line_override_the_file(write) -> None:  # type: ignore[no-untyped-def]
    settings = ["steps.words.min=5", "seed=3", "sources.web.path=other", "media.max_pixels=9"]
    loaded = recipe.load(write(GOOD), settings)
    assert loaded.steps[0].step.min == 5  # type: ignore[attr-defined]
    assert (loaded.recipe.seed, loaded.readers[0].path) == (3, "other")
    assert loaded.recipe.media.max_pixels == 9


def test_the_second_step_of_its_kind_is_set_by_its_name_in_the_manifest(write) -> None:  # type: ignore[no-untyped-def]
    loaded = recipe.load(write(GOOD), ["steps.words-2.max=30"])
    assert loaded.steps[2].step.max == 30  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match="no item named 'words-3'"):
        recipe.load(write(GOOD), ["steps.words-3.max=30"])
    with_preset = GOOD.replace("steps:", "steps:\n  - preset: datacomp_basic")
    with pytest.raises(RecipeError, match="no item named 'words-2'"):  # the preset has `words` too
        recipe.load(write(with_preset), ["steps.words-2.max=30"])


def test_a_name_with_a_dot_is_set_in_quotes(write) -> None:  # type: ignore[no-untyped-def]
    text = GOOD.replace("name: web", "name: web.v1")
    assert text != GOOD
    loaded = recipe.load(write(text), ['sources."web.v1".path=other=1'])
    assert loaded.readers[0].path == "other=1"
    for wrong in ("a..b=1", 'a."b=1', ".a=1", "a", 'a."".b=1', '"a"b=1'):
        with pytest.raises(RecipeError, match="not of the form PATH=VALUE"):
            recipe.load(write(text), [wrong])


def test_a_setting_for_an_unknown_item_names_the_nearest(write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RecipeError, match=r"no item named 'wrods'\. Did you mean 'words'"):
        recipe.load(write(GOOD), ["steps.wrods.min=5"])


def test_variables_are_filled_from_the_environment_or_their_default(write, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("WHERE", "s3://bucket/web")
    text = GOOD.replace('"data/*.tar"', '"${WHERE}/*.tar"').replace("17", "${SEED:-5}")
    loaded = recipe.load(write(text))
    assert loaded.readers[0].path == "s3://bucket/web/*.tar"
    assert loaded.recipe.seed == 5
    with pytest.raises(
        RecipeError, match=r"recipe\.yaml:2: the environment variable SEED is not set"
    ):
        recipe.load(write(text.replace(":-5", "")))


def test_a_recipe_overrides_its_base(write) -> None:  # type: ignore[no-untyped-def]
    write(GOOD, "base.yaml")
    loaded = recipe.load(write("base: base.yaml\nname: other\nmedia: {max_bytes: 10}\n"))
    assert loaded.recipe.name == "other"
    assert loaded.recipe.media.max_bytes == 10
    assert len(loaded.steps) == 3


def test_a_recipe_that_includes_itself_is_refused(write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RecipeError, match="includes itself"):
        recipe.load(write("base: recipe.yaml\n"))


def test_at_most_16_recipes_are_joined(write) -> None:  # type: ignore[no-untyped-def]
    write(GOOD, "0.yaml")
    for number in range(1, 17):
        write(f"base: {number - 1}.yaml\n", f"{number}.yaml")
    assert len(recipe.load(write("base: 14.yaml\n")).steps) == 3
    with pytest.raises(RecipeError, match="more than 16 recipes are joined through `base`"):
        recipe.load(write("base: 15.yaml\n"))


def test_the_largest_size_is_that_of_a_whole_number_of_64_bits(write) -> None:  # type: ignore[no-untyped-def]
    loaded = recipe.load(write(GOOD), [f"media.max_bytes={2**63 - 1}B"])
    assert loaded.recipe.media.max_bytes == 2**63 - 1
    with pytest.raises(RecipeError, match="the size is over the limit"):
        recipe.load(write(GOOD), ["media.max_bytes=8EiB"])


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("  - words:", "  - preset: {name: x}\n  - words:", "there is no preset named"),
        ("  - words:", "  - preset: [x]\n  - words:", "there is no preset named"),
        ("reader: webdataset", "reader: 5", "the setting 'reader' is 5, not the name of a reader"),
        ("reader: webdataset, ", "", "the setting 'reader' is missing"),
    ],
)
def test_a_name_that_is_no_text_is_refused(  # type: ignore[no-untyped-def]
    write, before: str, after: str, fault: str
) -> None:
    assert before in GOOD
    with pytest.raises(RecipeError, match=re.escape(fault)):
        recipe.load(write(GOOD.replace(before, after, 1)))


def test_two_sources_of_one_name_are_refused(write) -> None:  # type: ignore[no-untyped-def]
    line = '  - {name: web, reader: webdataset, path: "data/*.tar"}\n'
    with pytest.raises(RecipeError, match="several sources have the name 'web'"):
        recipe.load(write(GOOD.replace(line, line * 2)))


def test_the_exported_schema_accepts_and_refuses_what_the_recipe_does() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    schema = recipe.json_schema()
    jsonschema.validate(yaml.safe_load(GOOD), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(GOOD.replace("min: 3", "mim: 3")), schema)


def test_the_recipe_in_a_manifest_builds_the_same_run(write) -> None:  # type: ignore[no-untyped-def]
    loaded = recipe.load(write(GOOD), base="/data")
    again = recipe.build(loaded.content, base="/data")
    assert again == loaded


def test_an_error_budget_that_may_be_a_share_or_a_count_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"max_quarantined.*1\.0 may be a share of the inputs or"):
        recipe.build(caption_recipe(max_quarantined=1.0))
    assert recipe.build(caption_recipe(max_quarantined=1)).recipe.max_quarantined == 1
    with pytest.raises(RecipeError, match=r"max_quarantined: '5%' is not a number\. Write a share"):
        recipe.build(caption_recipe(max_quarantined="5%"))
