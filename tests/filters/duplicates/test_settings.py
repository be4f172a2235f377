"""Settings of each way, errors for wrong ones, and the columns that must exist."""

from __future__ import annotations

from typing import Any

import pytest

from curate import recipe
from filters.duplicates.duplicate_images import DuplicateImages
from filters.duplicates.duplicates import Duplicates
from manifests.errors import RecipeError

SOURCE = {"name": "made", "reader": "table", "path": "data/*.jsonl", "text": "text"}


def built(*steps: dict[str, Any]) -> recipe.Loaded:
    return recipe.build({"name": "test", "sources": [SOURCE], "steps": list(steps)})


def refused(*steps: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        built(*steps)
    return str(caught.value)


def completed(**settings: Any) -> dict[str, Any]:
    """The settings with their defaults, without those that are null."""
    step = Duplicates.model_validate(settings)
    return {
        name: value for name, value in step.model_dump(mode="json").items() if value is not None
    }


COMMON = {"keep": ["-media.pixels", "-text.length", "id"], "index": False, "against": []}
MINHASH = {"threshold": 0.8, "tokens": "words", "n": 5, "permutations": 128, "bands": 20, "rows": 6,
           "verify": True}  # fmt: skip


def test_every_way_has_its_own_defaults_only() -> None:
    assert completed(by="text") == {"by": ["text"], **COMMON}
    assert completed(by=["image", "text"]) == {"by": ["image", "text"], **COMMON}
    assert completed(by="minhash") == {"by": ["minhash"], **MINHASH, **COMMON}
    assert completed(by="minhash", tokens="characters", threshold=0.9) == {
        "by": ["minhash"], **MINHASH, "tokens": "characters", "n": 24, "threshold": 0.9, **COMMON,
    }  # fmt: skip
    assert completed(by="minhash", tokens="whitespace", n=3, verify=False)["n"] == 3
    assert completed(by="perceptual") == {"by": ["perceptual"], "distance": 6,
        "colour_distance": 24.0, "chains": "cut", **COMMON,
    }  # fmt: skip
    assert completed(by="sequence") == {
        "by": ["sequence"],
        "colour_distance": 24.0,
        "threshold": 0.5,
        "distance": 6,
        **COMMON,
    }
    assert completed(by="semantic", embedding="embed.vector") == {
        "by": ["semantic"], "threshold": 0.92, "embedding": "embed.vector", **COMMON,
    }  # fmt: skip


def test_a_step_is_equal_to_one_built_from_its_json() -> None:
    for settings in ({"by": "minhash"}, {"by": ["sequence", "text"], "keep": {"source": ["a"]}}):
        step = Duplicates.model_validate(settings)
        assert Duplicates.model_validate(step.model_dump(mode="json")) == step


def test_zero_and_false_are_kept_as_settings() -> None:
    assert completed(by="perceptual", distance=0)["distance"] == 0
    assert completed(by="minhash", verify=False)["verify"] is False


@pytest.mark.parametrize(("settings", "fault"), [
    ({"by": "text", "threshold": 0.8}, "threshold is a setting of `by: minhash`, not of `by: "
    "text`"),
    ({"by": ["text", "image"], "distance": 0},
     "distance is a setting of `by: perceptual`, not of `by: text, image`"),
    ({"by": "text", "verify": False}, "verify is a setting of `by: minhash`, not of `by: text`"),
    ({"by": "perceptual", "bands": 4}, "bands is a setting of `by: minhash`, not of `by: "
    "perceptual`"),
    ({"by": "sequence", "clusters": "x"}, "clusters is a setting of `by: semantic`, not of `by: "
    "sequence`"),
    ({"by": "minhash", "embedding": "x"}, "embedding is a setting of `by: semantic`, not of `by: "
    "minhash`"),
    ({"by": ["text", "text"]}, "by: a value is listed twice"),
    ({"by": ["minhash", "sequence"]}, "by: list only one of minhash, semantic, sequence"),
    ({"by": ["perceptual", "sequence"]}, "by: list perceptual or sequence, not both"),
    ({"by": "semantic"}, "by: semantic needs the setting embedding: the column that has"),
    ({"by": "minhash", "bands": 20, "rows": 7},
     "20 bands of 7 rows need 140 permutations, but there are 128"),
    ({"by": "minhash", "bands": 9, "rows": 8, "permutations": 64},
     "9 bands of 8 rows need 72 permutations, but there are 64"),
])  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], fault: str
) -> None:
    assert fault in refused({"duplicates": settings})


@pytest.mark.parametrize(("settings", "place", "fault"), [
    ({}, "by", "'by' is missing"),
    ({"by": []}, "by", "at least 1 item"),
    ({"by": 7}, "by", "valid tuple"),
    ({"by": "texts"}, "by", "'text', 'image', 'minhash', 'perceptual', 'semantic' or 'sequence'"),
    ({"by": [1], "bands": 2}, "", "bands is a setting of `by: minhash`, not of `by: 1`"),
    ({"by": "minhash", "threshold": 0}, "threshold", "greater than 0"),
    ({"by": "minhash", "threshold": 1.1}, "threshold", "less than or equal to 1"),
    ({"by": "minhash", "tokens": "word"}, "tokens", "'words', 'whitespace' or 'characters'"),
    ({"by": "minhash", "n": 0}, "n", "greater than 0"),
    ({"by": "perceptual", "distance": 17}, "distance", "less than or equal to 16"),
    ({"by": "perceptual", "distance": -1}, "distance", "greater than or equal to 0"),
    ({"by": "text", "keep": "source"}, "keep", "source needs a list of sources, the preferred "
    "source first"),
    ({"by": "text", "keep": ["id", "-source"]}, "keep", "source needs a list of sources"),
    ({"by": "text", "keep": "-id"}, "keep", "the record with the lowest id is always preferred"),
    ({"by": "minhash", "treshold": 1}, "treshold",
     "no setting named 'treshold'. Did you mean 'threshold'?"),
])  # fmt: skip
def test_a_wrong_setting_is_refused_with_its_place(
    settings: dict[str, Any], place: str, fault: str
) -> None:
    message = refused({"duplicates": settings})
    assert message.startswith(f"recipe:0: steps[0].duplicates{'.' if place else ''}{place}")
    assert fault in message


@pytest.mark.parametrize("settings", [
    {"by": "text"}, {"distance": 17}, {"keep": "source"}, {"keep": "-id"}, {"threshold": 0.5},
])  # fmt: skip
def test_duplicate_images_refuses_settings_of_duplicates_and_wrong_values(
    settings: dict[str, Any],
) -> None:
    assert refused({"duplicate_images": settings})


def test_a_missing_column_is_refused_with_the_nearest_name() -> None:
    words: dict[str, Any] = {"words": {}}
    assert refused(words, {"duplicates": {"by": "text", "keep": "-word.count"}}) == (
        "recipe:0: steps[1].duplicates: there is no column 'word.count', neither in the record "
        "nor from an "
        "earlier step. Did you mean 'words.count'?"
    )
    semantic = {"by": "semantic", "embedding": "embed.vectr"}
    embed: dict[str, Any] = {"tests.engine.pieces:Embed": {}}
    fault = refused(embed, {"duplicates": semantic})
    assert fault.startswith("recipe:0: steps[1].duplicates: there is no column 'embed.vectr'")
    lost = {**semantic, "embedding": "Embed.vector", "clusters": "Embed.nearst"}
    assert "Did you mean 'Embed.nearest'?" in refused(embed, {"duplicates": lost})
    assert "no column 'words.count'" in refused(
        {"duplicates": {"by": "text", "keep": "words.count"}}, words
    )
    assert "'score.value'" in refused({"duplicate_images": {"keep": "-score.value"}})


def test_a_misspelt_measure_of_records_is_refused_with_the_nearest_name() -> None:
    fault = refused({"duplicates": {"by": "text", "keep": "-text.lenght"}})
    assert fault == (
        "recipe:0: steps[0].duplicates.keep: records have no measure 'text.lenght'. Did you mean "
        "'text.length'?"
    )


def test_a_single_source_needs_no_list() -> None:
    assert completed(by="text", keep={"source": "web"})["keep"] == [{"source": ["web"]}]
    assert completed(by="text", keep=[{"source": "web"}])["keep"] == [{"source": ["web"]}]


def test_the_steps_that_a_way_needs_are_inserted_before_it() -> None:
    names = [step.name for step in built({"duplicates": {"by": "perceptual"}}).steps]
    assert names == ["image_hash", "duplicates"]
    names = [step.name for step in built({"duplicates": {"by": ["image", "sequence"]}}).steps]
    assert names == ["media_digest", "image_hash", "duplicates"]
    assert [s.name for s in built({"duplicates": {"by": "minhash"}}).steps] == ["duplicates"]
    assert [s.name for s in built({"duplicate_images": {}}).steps] == [
        "image_hash",
        "duplicate_images",
    ]
    both = built({"image_hash": {}}, {"words": {}}, {"duplicates": {"by": "perceptual"}},
                 {"duplicates": {"by": "sequence"}},
                 {"duplicate_images": {"by": "image"}})  # fmt: skip
    assert [step.name for step in both.steps] == [
        "image_hash", "words", "duplicates", "duplicates-2", "media_digest", "duplicate_images",
    ]  # fmt: skip


def test_measures_of_some_records_do_not_suffice_for_a_step_on_all() -> None:
    some = {"by": "perceptual", "only": {"source": "made"}}
    loaded = built({"duplicates": some}, {"duplicates": {"by": "perceptual"}}, {"duplicates": some})
    assert [step.name for step in loaded.steps] == [
        "image_hash", "duplicates", "image_hash-2", "duplicates-2", "duplicates-3",
    ]  # fmt: skip
    columns = [step.in_run("image_hash.hash") for step in loaded.steps if step.shape == "corpus"]
    assert columns == ["image_hash.hash", "image_hash-2.hash", "image_hash.hash"]


def test_all_settings_of_both_steps_have_a_description() -> None:
    for kind in (Duplicates, DuplicateImages):
        schema = kind.model_json_schema()
        assert all(field.get("description") for field in schema["properties"].values())
