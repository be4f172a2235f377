"""The step `dsir` and its kernel, compared with the published definition in Python and numpy."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from curate.sampling.dsir import Dsir
from manifests.errors import InputError
from manifests.kernels.gram_buckets import bucket_counts, bucket_scores
from tests.filters.corpus_steps import MemoryCorpus, temporary_workspace
from tests.filters.rows import step_context, text_records

RAW = [
    "Buy cheap shoes now! Free shipping, click here.",
    "The river runs past the old mill; herons wait in the reeds.",
    "Ein Hund läuft über die Straße. ÉTÉ à Paris: 12_000 visiteurs…",
    "漢字とかな、ไทย हिन्दी 한국어 -- don't stop",
    "",
    "click click click",
]
TARGET = ["A heron stands in the river.", "The mill by the river is old; the reeds are high."]


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]+", text.lower())


def grams(text: str) -> list[str]:
    words = tokens(text)
    return words + [" ".join(pair) for pair in pairwise(words)]


def bucket(gram: str, buckets: int) -> int:
    """The bucket of a word or of a pair of words, by the kernel."""
    counts = bucket_counts(pa.array([gram]), buckets)
    for word in tokens(gram) if " " in gram else []:
        counts -= bucket_counts(pa.array([word]), buckets)
    return int(np.flatnonzero(counts)[0])


def feature_vector(text: str, buckets: int) -> np.ndarray:
    counts = np.zeros(buckets)
    for gram in grams(text):
        counts[bucket(gram, buckets)] += 1
    return counts


def run(base: Path, texts: list[str], parts: int = 2, **settings: Any) -> list[Any]:
    records = text_records(*texts)
    size = -(-len(texts) // parts)
    step = Dsir(target=str(base), **settings)
    corpus = MemoryCorpus(tuple(records.slice(at, size) for at in range(0, len(texts), size)))
    with temporary_workspace() as workspace, step_context(step) as context:
        fit = step.fit(corpus, workspace, 3)
        outcomes = [step.apply(table, fit, context) for table in corpus.tables]
    return [w for outcome in outcomes for w in outcome.columns["log_weight"].to_pylist()]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    lines = [orjson.dumps({"text": text}) for text in TARGET]
    (tmp_path / "target.jsonl").write_bytes(b"\n".join(lines))
    return tmp_path / "target.jsonl"


@pytest.mark.parametrize("buckets", [7, 10_000])
def test_weights_are_those_of_the_published_definition(target: Path, buckets: int) -> None:
    p, q = (sum(feature_vector(t, buckets) for t in texts) for texts in (TARGET, RAW))
    ratio = np.log(p / p.sum() + 1e-8) - np.log(q / q.sum() + 1e-8)
    expected = [float(feature_vector(text, buckets) @ ratio) for text in RAW]
    found = run(target, RAW, buckets=buckets)
    assert found[4] is None
    assert np.allclose(np.array(found, float)[[0, 1, 2, 3, 5]], np.delete(expected, 4), rtol=1e-12)


def test_texts_like_the_target_have_the_larger_weights(target: Path) -> None:
    spam, river = (text + " word" * 5 for text in RAW[:2])
    found = run(target, [spam, river] * 20)
    assert found[1] > found[0]


def test_tokens_are_those_of_the_published_pattern() -> None:
    _, counts = bucket_scores(pa.array(RAW), np.zeros(4))
    assert counts.tolist() == [len(tokens(text)) for text in RAW]
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    shuffled = "".join(np.random.default_rng(2).permutation(list(every)).tolist())
    for text in (every, shuffled):
        _, counts = bucket_scores(pa.array([text]), np.zeros(4))
        assert counts.tolist() == [len(re.findall(r"\w+|[^\w\s]+", text))]


def test_different_signs_are_different_tokens() -> None:
    signs = ["。", "」", "→", "…", "\u0301", "!", "…!", "!…", "😀", "\U000e0001"]
    buckets = {bucket(sign, 2**20) for sign in signs}
    assert len(buckets) == len(signs)


def test_buckets_are_used_evenly() -> None:
    words = pa.array([f"word{n}" for n in range(100_000)])
    counts = bucket_counts(words, 1000)
    assert counts.sum() == 100_000
    assert ((counts - 100) ** 2 / 100).sum() < 1143  # 0.1 % of chi-square, 999 degrees of freedom


def test_weights_do_not_depend_on_parts_and_only_a_share_of_the_corpus_may_be_counted(
    target: Path,
) -> None:
    many = RAW * 200
    whole = run(target, many, parts=1)
    assert run(target, many, parts=7) == whole
    some = run(target, many, raw_share=0.5)
    assert some != whole


@pytest.mark.parametrize(
    ("name", "data", "settings", "fault"),
    [
        ("a.jsonl", b'{"text": 3}', {}, "the field 'text' is 3, which is not text"),
        ("a.jsonl", b'{"text": "a"}', {"text": "body"}, "has no field 'body'"),
        ("a.jsonl", b'{"text": null}', {}, "the target has no text"),
        ("a.png", b"", {}, "neither a table nor text"),
        (None, b"", {}, "leads to no file"),
    ],
)
def test_a_target_that_cannot_be_read_is_named(
    tmp_path: Path, name: str | None, data: bytes, settings: dict[str, str], fault: str
) -> None:
    if name:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=fault):
        run(tmp_path / "*.*", RAW, **settings)
