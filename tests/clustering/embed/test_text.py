"""The step `embed` with `on: text`: the packaged model, and ONNX files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from onnx import TensorProto

from clustering.embed.embed import Embed
from manifests.errors import InputError
from manifests.media import Media
from manifests.models.safetensors import read_tensor
from manifests.step import Worker
from tests.clustering.embed.text_models import TABLE, WORDS, settings, write_model, write_tokenizer
from tests.filters.rows import answers, text_records
from tests.make import write_captions
from tests.runs import caption_recipe, order_pass, part_tables, row_counts, run_engine


def vectors(step: Embed, *texts: str | None, folder: Path | str = ".") -> list[Any]:
    found: list[Any] = answers(step, text_records(*texts), Media(str(folder)))["vector"]
    return found


def cosine(a: list[float], b: list[float]) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def of_words(*names: str) -> np.ndarray:
    return TABLE[[WORDS.index(name) for name in names]]


def test_similar_texts_have_similar_vectors_and_no_text_has_none() -> None:
    dog, puppy, market, empty, none, spaces = vectors(
        Embed(on="text"),
        "a dog on grass",
        "a puppy in a field",
        "stock market chart",
        "",
        None,
        " ",
    )
    assert (empty, none, spaces) == (None, None, None)
    assert len(dog) == 256
    assert cosine(dog, puppy) > 0.4 > cosine(dog, market)


def test_a_vector_does_not_depend_on_the_other_texts_of_the_batch() -> None:
    step = Embed(on="text")
    texts = ["a cat", "a dog on a very long beach, at the end of a day in June", "", "a cat </s>"]
    together = vectors(step, *texts)
    assert together == [vectors(step, text)[0] for text in texts]


def test_a_long_text_is_cut_after_max_tokens() -> None:
    step = Embed(on="text", max_tokens=3)
    assert len(set(map(str, vectors(step, "red red red", "red red red" + " blue" * 200_000)))) == 1


def test_the_vectors_of_tokens_are_pooled_without_padding(tmp_path: Path) -> None:
    model = settings(tmp_path)
    expected = of_words("[CLS]", "a", "cat", "[SEP]")
    pooled = {"mean": expected.mean(axis=0), "first": expected[0], "last": expected[-1]}
    for length in (None, 12):
        write_model(tmp_path, length=length)
        for name, vector in pooled.items():
            step = Embed(**model, pooling=name)
            texts = ("A cat", "a dog on a mat", "")
            found, _, none = vectors(step, *texts, folder=tmp_path)
            np.testing.assert_allclose(found, vector, atol=2e-3)
            assert none is None


def test_an_output_with_one_vector_for_a_text_is_taken_as_it_is(tmp_path: Path) -> None:
    step = Embed(**settings(tmp_path, pooled=True), prefix="query: ")
    [found] = vectors(step, "dog", folder=tmp_path)
    expected = of_words("[CLS]", "query", ":", "dog", "[SEP]").sum(axis=0)
    np.testing.assert_allclose(found, expected, atol=4e-3)


def test_pad_to_pads_every_text_with_the_padding_token_of_the_tokenizer(tmp_path: Path) -> None:
    model = settings(tmp_path, inputs=("ids",), pooled=True, kind=TensorProto.INT32)
    write_tokenizer(tmp_path, padding=True)
    [found] = vectors(Embed(**model, pad_to=12), "cat", folder=tmp_path)
    expected = of_words("[CLS]", "cat", "[SEP]", *["[PAD]"] * 9).sum(axis=0)
    np.testing.assert_allclose(found, expected, atol=8e-3)


def test_a_special_token_in_a_text_is_text(tmp_path: Path) -> None:
    step = Embed(**settings(tmp_path), pooling="last")
    one, other = vectors(step, "a [PAD]", "a [SEP] cat", folder=tmp_path)
    np.testing.assert_allclose([one, other], of_words("[SEP]", "[SEP]"), atol=2e-3)


@pytest.mark.parametrize(
    ("model", "changed", "message"),
    [
        ({}, {"pooling": None}, "vector for each token.*Set pooling to mean, first or last"),
        ({"pooled": True}, {}, "no vector for each token.*Remove pooling"),
        ({}, {"width": 5}, "makes 4 numbers for a text, but width is 5.*Set width: 4"),
        ({"length": 8}, {}, "max_tokens is 12, but texts are padded to 8.*Set max_tokens: 8"),
        ({"length": 12}, {"pad_to": 16}, "takes texts of 12 tokens.*Set pad_to: 12, or remove"),
        ({"positions": 6}, {}, "fails on a text of 12 tokens.*Set max_tokens to the most"),
        ({"inputs": ("pixel_values", "input_ids")}, {}, "not the tokens of texts.*Export"),
        ({"inputs": ("ids",)}, {"pad_to": 12}, "names no padding token.*section `padding`"),
        ({}, {"max_tokens": 2}, "the tokenizer adds 2 special tokens.*Set max_tokens to 3"),
        ({}, {"output": "x"}, r"no output 'x'.*Set output to one of \['embeds'\]"),
    ],
)
def test_a_model_that_does_not_fit_its_settings_is_refused(
    tmp_path: Path, model: dict[str, Any], changed: dict[str, Any], message: str
) -> None:
    step = Embed(**{"pooling": "mean", **settings(tmp_path, **model), **changed})
    with pytest.raises(InputError, match=f"(?s){message}"):
        step.load(Worker(str(tmp_path)))


def test_a_broken_file_is_refused_by_name(tmp_path: Path) -> None:
    step = Embed(**settings(tmp_path), pooling="mean")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer\.json: this is not a tokenizer\.json"):
        step.load(Worker(str(tmp_path)))
    write_tokenizer(tmp_path)
    data = (tmp_path / "text.onnx").read_bytes()
    (tmp_path / "text.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"text\.onnx"):
        step.load(Worker(str(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prefix": "query: "}, "prefix is a setting of `on: text`"),
        ({"on": "text", "pooling": "mean"}, "pooling and pad_to are only for a model of your own"),
        ({"on": "text", "model": "m.onnx", "width": 3}, "which needs tokenizer and width"),
        ({"on": "text", "config": "c.json"}, "config is not a setting of `on: text`"),
        ({"on": "text", "width": 3}, "wordllama makes vectors of 256"),
    ],
)
def test_settings_of_texts_that_do_not_belong_together_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Embed(**settings)


@pytest.mark.parametrize("data", [b"", b"\x08\0\0\0\0\0\0\0notjson!", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_broken_safetensors_file_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(InputError, match=r"made: .*Copy the file again"):
        read_tensor(data, "w", "made")


def test_a_run_embeds_texts(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=2, rows=6)
    recipe = caption_recipe(steps=[{"embed": {"on": "text"}}])
    made = run_engine(recipe, tmp_path, tmp_path / "out")
    assert row_counts(made)["embed"] == (12, 12, {}, {})
    table = next(part_tables(tmp_path / "out", order_pass(made)))
    assert table.schema.field("embed.vector").type == pa.list_(pa.float16(), 256)
