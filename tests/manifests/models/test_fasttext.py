"""Answers of every kind of fastText classifier are fastText's own, bit for bit; other files are
refused."""

from __future__ import annotations

import random
from itertools import product
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from manifests.errors import InputError
from manifests.kernels.fasttext import predict, probabilities
from manifests.models.fasttext import FastTextModel, read_model
from tests.manifests.models.fasttext_files import LABELS, WORDS, Made, model_bytes

SOFTMAX = 3
LOSSES = {"tree": 1, "negative sampling": 2, "softmax": SOFTMAX, "one vs all": 4}
MANY = tuple(f"__label__{n}" for n in range(60))


def texts() -> list[str]:
    draw = random.Random(9)
    pool = [*WORDS, *LABELS, "unseen", "__label__new", "é", "cats\x00dogs", "\x0b"]
    some = [" ".join(draw.choices(pool, k=draw.randint(0, 9))) for _ in range(120)]
    return ["", "  \t", *some, "word " * 200]


def save(made: Made, folder: Path) -> str:
    path = folder / "model.bin"
    path.write_bytes(model_bytes(made))
    return str(path)


def assert_answers_are_fasttext_s(path: str) -> None:
    """Checked on a slice of a column, whose offsets do not start at 0."""
    model, theirs = read_model(path), fasttext.load_model(path).f
    some = texts()
    column = pa.array(["left out", *some, "left out, too"])[1:-1]
    labels, scores = predict(column, model)
    for text, label, score in zip(some, labels.tolist(), scores.tolist(), strict=True):
        ours = [] if label < 0 else [(score, theirs_name(model, label))]
        assert ours == theirs.predict(text + "\n", 1, 0.0, ""), text
    for text, row in zip(some, probabilities(column, model), strict=True):
        assert_all_labels(model, theirs.predict(text + "\n", -1, 0.0, ""), row)


def theirs_name(model: FastTextModel, label: int) -> str:
    name = model.labels[label]
    return name if name == "plain" else f"__label__{name}"


def assert_all_labels(model: FastTextModel, theirs: list[Any], row: np.ndarray) -> None:
    """fastText leaves out labels of a tree below 0.00001; without rows it has no answer."""
    known = {name: score for score, name in theirs}
    for label, score in enumerate(row.tolist()):
        if theirs_name(model, label) in known:
            assert score == known[theirs_name(model, label)]
        else:
            assert score <= (1.1e-5 if theirs else 0)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("characters", [(0, 0), (1, 3), (0, 2), (2, 4)])
@pytest.mark.parametrize("word_ngrams", [1, 2, 4])
def test_answers_are_fasttext_s_for_every_loss_and_kind_of_n_gram(
    loss: int, characters: tuple[int, int], word_ngrams: int, tmp_path: Path
) -> None:
    made = Made(loss=loss, characters=characters, word_ngrams=word_ngrams)
    assert_answers_are_fasttext_s(save(made, tmp_path))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize(("norms", "output"), list(product([False, True], repeat=2)))
@pytest.mark.parametrize("kept", [None, 0, 40])
def test_answers_are_fasttext_s_for_quantised_and_pruned_models(
    loss: int, norms: bool, output: bool, kept: int | None, tmp_path: Path
) -> None:
    made = Made(
        loss=loss, characters=(2, 3), word_ngrams=2,
        quantised=True, norms=norms, quantised_output=output, kept=kept,
    )  # fmt: skip
    assert_answers_are_fasttext_s(save(made, tmp_path))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("labels", [("__label__only",), MANY], ids=["one", "sixty"])
def test_answers_are_fasttext_s_for_one_label_and_for_many(
    loss: int, labels: tuple[str, ...], tmp_path: Path
) -> None:
    assert_answers_are_fasttext_s(save(Made(loss=loss, labels=labels), tmp_path))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_text_of_unknown_words_alone_has_no_label_where_there_is_no_end_of_line(
    loss: int, tmp_path: Path
) -> None:
    path = save(Made(loss=loss, words=("cat", "dog"), buckets=0), tmp_path)
    assert_answers_are_fasttext_s(path)
    labels, scores = predict(pa.array(["unseen", "cat"]), read_model(path))
    assert (labels[0], scores[0]) == (-1, 0)
    assert labels[1] >= 0


def test_models_of_the_old_version_have_no_n_grams_of_characters(tmp_path: Path) -> None:
    assert_answers_are_fasttext_s(save(Made(version=11, characters=(2, 4)), tmp_path))


def test_labels_are_named_without_their_prefix(tmp_path: Path) -> None:
    assert read_model(save(Made(), tmp_path)).labels == ["en", "de", "猫", "plain"]


@pytest.mark.parametrize("kind", [1, 2])
def test_word_vectors_are_refused_with_what_to_train(kind: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the model has word vectors .* `fasttext supervised`"):
        read_model(save(Made(kind=kind), tmp_path))


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (Made(version=10), "the model's format has version 10; 11 and 12 can be read"),
        (Made(loss=5), "one of the training arguments in the header is invalid: .*loss=5"),
        (Made(kept=3), "the list of n-grams is pruned, but only a quantised model"),
        (
            Made(buckets=0, word_ngrams=2),
            "the training arguments ask for n-grams, but state 0 hash buckets",
        ),
        (
            Made(labels=()),
            "the dictionary states 11 entries, 11 words and 0 labels",
        ),
    ],
)
def test_models_that_fasttext_would_not_write_are_refused(
    made: Made, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=rf"model\.bin: this is not a fastText classifier: {fault}"
    ):
        read_model(save(made, tmp_path))


@pytest.mark.parametrize("data", [b"", b"word 0.1 0.2\n", bytes(1000)])
def test_files_of_another_kind_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a fastText"):
        read_model(str(path))


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.bin: the model cannot be read: No such file"):
        read_model(str(tmp_path / "none.bin"))


@pytest.mark.parametrize("made", [Made(), Made(quantised=True, norms=True, kept=9)])
def test_a_truncated_model_is_refused(made: Made, tmp_path: Path) -> None:
    whole = model_bytes(made)
    path = tmp_path / "model.bin"
    for end in range(1, len(whole), 37):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"model\.bin: "):
            read_model(str(path))


def test_a_model_with_a_changed_byte_is_read_or_refused(tmp_path: Path) -> None:
    whole = model_bytes(Made(loss=1, characters=(1, 2), quantised=True, norms=True, kept=9))
    path = tmp_path / "model.bin"
    column = pa.array(texts()[:20])
    for at in range(0, min(len(whole), 700), 2):
        for value in (0, 127, 255):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                model = read_model(str(path))
            except InputError:
                continue
            predict(column, model)
