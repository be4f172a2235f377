"""What all settings of steps and readers have in common."""

from __future__ import annotations

import typing
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from curate import catalog
from curate.compose.grounding.counting import Counting
from curate.compose.grounding.grounding_text import GroundingText
from curate.emit.settings import Shards
from curate.ingest.grounding.qwen_grounding import QwenGrounding
from curate.recipe.model import Recipe
from filters.duplicates.duplicate_images import DuplicateImages
from manifests.geometry.angles import QWEN3_ANGLES, Angles
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize
from manifests.media import Limits

MODELS: list[type[BaseModel]] = [
    *map(catalog.resolve_step, catalog.STEPS),
    *map(catalog.resolve_reader, catalog.READERS), Limits, Recipe,
]  # fmt: skip


def types_of(annotation: Any) -> set[Any]:
    inner = typing.get_args(annotation)
    return {one for arg in inner for one in types_of(arg)} if inner else {annotation}


def is_read_as_a_list(model: type[BaseModel], name: str, text: str) -> bool:
    field = model.model_fields[name]
    adapter = TypeAdapter(typing.Annotated[field.annotation, "", *field.metadata])
    try:
        return isinstance(adapter.validate_python(text), tuple)
    except ValidationError:
        return False


ONE_OR_MORE = [
    (model, name)
    for model in MODELS
    for name in model.model_fields
    if any(is_read_as_a_list(model, name, text) for text in ("id", "minhash", "box"))
]


NUMBERS = [
    (model, name)
    for model in MODELS
    for name, field in model.model_fields.items()
    if types_of(field.annotation) & {int, float} and bool not in types_of(field.annotation)
]


def faults(model: type[BaseModel], name: str, value: Any) -> str:
    """The faults of one setting; other settings may be missing."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate({name: value})
    return "; ".join(one["msg"] for one in caught.value.errors() if one["loc"][:1] == (name,))


@pytest.mark.parametrize(("model", "name"), NUMBERS)
def test_true_and_false_are_no_numbers(model: type[BaseModel], name: str) -> None:
    assert "true is not a number" in faults(model, name, True)
    assert "false is not a number" in faults(model, name, False)


@pytest.mark.parametrize(("model", "name"), NUMBERS)
def test_whole_numbers_over_64_bits_are_refused(model: type[BaseModel], name: str) -> None:
    if float not in types_of(model.model_fields[name].annotation):
        assert faults(model, name, 2**63) != ""


@pytest.mark.parametrize("step", [GroundingText, Counting])
def test_a_part_of_resize_keeps_the_other_values_of_the_default(step: Any) -> None:
    made = step(style="qwen2.5", resize={"max_pixels": 400_000}, **COUNTED[step])
    assert made.resize == QWEN2_5_RESIZE.model_copy(update={"max_pixels": 400_000})
    assert step(style="qwen2.5", resize={}, **COUNTED[step]).resize == QWEN2_5_RESIZE
    given = Resize(factor=32)
    assert step(style="qwen2.5", resize=given, **COUNTED[step]).resize == given


COUNTED: dict[Any, dict[str, Any]] = {GroundingText: {}, Counting: {"forms": ["boxes"]}}


def test_a_part_of_angles_keeps_the_other_values_of_the_default() -> None:
    expected = Angles(axes="zyx", unit=QWEN3_ANGLES.unit)
    source = {"name": "a", "path": "b", "angles": {"axes": "zyx"}}
    assert GroundingText.model_validate({"angles": {"axes": "zyx"}}).angles == expected
    assert QwenGrounding.model_validate(source).angles == expected


def test_fewer_pixels_than_the_least_are_refused() -> None:
    with pytest.raises(ValidationError, match="min_pixels is 10, but max_pixels is only 9"):
        Resize(min_pixels=10, max_pixels=9)


@pytest.mark.parametrize(
    ("step", "settings", "fault"),
    [
        (GroundingText, {"resize": {"factor": 28}}, "resize has no effect, because the style 'qw"),
        (
            GroundingText,
            {"style": "qwen2.5", "max_coordinate": 999},
            "max_coordinate has no effect",
        ),
        (Counting, {"style": "qwen2.5", "max_coordinate": 1000}, "max_coordinate has no effect"),
        (DuplicateImages, {"by": "image", "distance": 3}, "distance has no effect with by: image"),
        (DuplicateImages, {"by": "image", "chains": "keep"}, "chains has no effect"),
    ],
)
def test_a_setting_without_an_effect_is_refused(
    step: Any, settings: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValidationError, match=fault):
        step.model_validate(settings)


SIZES = [(Limits, "max_bytes"), (Limits, "max_sidecar_bytes"), (Limits, "max_row_bytes"),
         (Shards, "shard_bytes"), (Shards, "batch_bytes")]  # fmt: skip


def test_every_setting_in_bytes_is_in_the_list_of_sizes() -> None:
    models = [*MODELS, Shards]
    assert [(m, n) for m in models for n in m.model_fields if n.endswith("_bytes")] == SIZES


@pytest.mark.parametrize(("model", "name"), SIZES)
def test_sizes_are_bytes_or_numbers_with_a_unit(model: type[BaseModel], name: str) -> None:
    def size(value: Any) -> int:
        made: int = model.model_validate({name: value}).model_dump(mode="json")[name]
        return made

    given = [1000, "1000", "1000B", "1MB", "1 mb", "64MiB", "1.5k", "0.5GiB", "2Ki"]
    sizes = [1000, 1000, 1000, 10**6, 10**6, 64 << 20, 1500, 1 << 29, 2048]
    assert [size(value) for value in given] == sizes
    for wrong in ("12 parsec", "5Mbit", "-1MB", "MB", "", "1e3", "\u0661MB"):
        assert "is not a size; write bytes, or a number with a unit" in faults(model, name, wrong)
    assert "over the limit" in faults(model, name, "99EB")
    assert "greater than 0" in faults(model, name, "0MB")


@pytest.mark.parametrize(
    ("model", "name"), ONE_OR_MORE, ids=[f"{model.__name__}.{name}" for model, name in ONE_OR_MORE]
)
def test_the_json_schema_has_one_text_where_a_recipe_may_give_one_in_place_of_a_list(
    model: type[BaseModel], name: str
) -> None:
    schema = model.model_json_schema()["properties"][name]
    assert {"string", "array"} <= {one.get("type") for one in schema.get("anyOf", [])}
