"""The step `embed_ngrams`, and the decomposition behind it."""

from __future__ import annotations

import signal
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml

from clustering.embed.embed_ngrams import EmbedNgrams
from clustering.embed.ngrams import BUCKETS, Grams, fit_projection, grams
from manifests.errors import StepError
from manifests.kernels.symmetric import eigen, orthonormal
from manifests.record import random_keys
from tests.filters.corpus_steps import MemoryCorpus, decide
from tests.filters.rows import text_records
from tests.make import WORDS, write_captions
from tests.processes import running
from tests.runs import caption_recipe, file_bytes

ALIKE = {
    "en": ["a red car on a road", "the red car on the road", "two cats on a sofa"],
    "zh": ["一辆红色的汽车在路上", "路上有一辆红色的汽车", "沙发上的两只猫"],
    "th": ["รถสีแดงบนถนน", "บนถนนมีรถสีแดง", "แมวสองตัวบนโซฟา"],
    "ru": ["красная машина на дороге", "на дороге красная машина", "две кошки на диване"],
}
OTHERS = [f"{a} {b} {c}" for a, b, c in zip(WORDS * 9, WORDS[3:] * 9, WORDS[7:] * 9, strict=False)]


def in_parts(texts: list[str | None], *cuts: int) -> MemoryCorpus:
    table = text_records(*texts)
    return MemoryCorpus(
        tuple(table.slice(a, b - a) for a, b in pairwise([0, *cuts, table.num_rows]))
    )


def vectors(texts: list[str | None], *cuts: int, seed: int = 5, **settings: int) -> pa.Array:
    outcomes = decide(EmbedNgrams(**settings), in_parts(texts, *cuts), seed)
    return pa.concat_arrays([outcome.columns["vector"] for _, outcome in outcomes])


def matrix(column: pa.Array) -> np.ndarray:
    return np.array(column.to_pylist(), np.float32)


@pytest.mark.parametrize("language", ALIKE)
def test_texts_that_are_written_alike_are_near_in_every_script(language: str) -> None:
    one, same, other = matrix(vectors([*ALIKE[language], *OTHERS]))[:3]
    assert one @ same > 0.5
    assert one @ other < 0.35


def test_vectors_do_not_depend_on_the_parts_or_their_order() -> None:
    texts = [*OTHERS, *ALIKE["en"], None, "", " \n "]
    whole = vectors(texts, sample=100)
    assert whole.equals(vectors(texts, 1, 17, 17, 60, sample=100))
    assert np.allclose(np.linalg.norm(matrix(whole.drop_null()), axis=1), 1, atol=2e-3)
    assert whole.slice(len(texts) - 3).null_count == 3


def test_the_sample_is_drawn_by_the_seed() -> None:
    texts: list[str | None] = [*OTHERS]
    assert vectors(texts, sample=60).equals(vectors(texts, sample=60))
    assert not vectors(texts, sample=60).equals(vectors(texts, sample=60, seed=6))


def test_a_text_without_an_ngram_of_the_sample_has_no_vector() -> None:
    found = vectors([*["aaa"] * 300, "漢字仮名"], sample=30)
    assert found.null_count == 1


def test_capitals_and_what_is_after_max_chars_do_not_matter() -> None:
    texts = [*OTHERS, "red car", "RED CAR", "red cars and more of them"]
    one, same, cut = vectors(texts, max_chars=7).slice(len(OTHERS)).to_pylist()
    assert one == same == cut


def test_equal_texts_stay_near_in_a_small_corpus() -> None:
    one, near, far = matrix(vectors(["a brown dog", "a brown dogs", "stock market"]))
    assert one @ near > 0.6
    assert abs(one @ far) < 0.2


def test_a_corpus_without_text_has_no_vectors() -> None:
    assert vectors(["", None]).null_count == 2


def test_a_sample_that_misses_all_texts_is_refused() -> None:
    texts: list[str | None] = [f"dog {number}" for number in range(30)]
    ids = text_records(*texts)["id"]
    seed = next(n for n in range(50) if random_keys(ids, n).min() > 2**64 // 30)
    with pytest.raises(StepError, match="Set a larger sample"):
        vectors(texts, sample=1, seed=seed)


def test_the_projection_is_a_truncated_singular_value_decomposition() -> None:
    """Against numpy, on the whole matrix."""
    texts = pa.array([*OTHERS, *ALIKE["en"]] * 3)
    found = grams(texts, 100)
    projection = fit_projection(found, 20, 1)
    used, column = np.unique(found.buckets, return_inverse=True)
    counts = np.zeros((len(texts), len(used)))
    np.add.at(counts, (np.repeat(np.arange(len(texts)), np.diff(found.offsets)), column), 1)
    rarity = np.log((1 + len(texts)) / (1 + counts.astype(bool).sum(axis=0))) + 1
    weighted = counts * rarity
    weighted /= np.linalg.norm(weighted, axis=1, keepdims=True)
    _, singular, components = np.linalg.svd(weighted)
    expected = weighted @ components[:20].T / np.maximum(singular[:20], 1.5)
    made = weighted / rarity @ projection[used]
    assert np.allclose(made @ made.T, expected @ expected.T, atol=1e-3)


def test_dependent_columns_become_zeros_and_others_orthonormal() -> None:
    columns = np.random.default_rng(0).standard_normal((50, 5))
    columns[:, 3] = columns[:, 0] - 2 * columns[:, 1]
    made = orthonormal(np.ascontiguousarray(columns))
    assert np.allclose(made.T @ made, np.diag([1, 1, 1, 0, 1]), atol=1e-10)


def test_eigenvectors_of_a_symmetric_matrix() -> None:
    one = np.random.default_rng(0).standard_normal((40, 40))
    matrix = one @ one.T
    values, found = eigen(matrix)
    assert np.allclose(values, np.linalg.eigvalsh(matrix)[::-1])
    assert np.allclose(matrix @ found, found * values)


def test_grams_of_texts() -> None:
    found = grams(pa.array(["abc", "", "ABC", "ab"]), 100)
    assert found.offsets.tolist() == [0, 3, 3, 6, 8]
    own = np.split(found.buckets, found.offsets[1:-1])
    assert sorted(own[0].tolist()) == sorted(own[2].tolist())
    assert found.buckets.min() >= 0
    assert found.buckets.max() < BUCKETS
    assert isinstance(found, Grams)


def test_killed_while_it_fits_it_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=6, rows=400)
    recipe = caption_recipe(steps=[{"embed_ngrams": {"width": 32}}])
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))

    def run(out: str, *kill_after: str) -> None:
        for phase in kill_after:
            with running(tmp_path, "recipe.yaml", "-o", out, "--inline") as driver:
                while not list((tmp_path / out).glob(f"steps/*/work/{phase}")):
                    assert driver.poll() is None
                    time.sleep(0.002)
                driver.send_signal(signal.SIGKILL)
        with running(tmp_path, "recipe.yaml", "-o", out, "--inline") as driver:
            assert driver.wait(timeout=240) == 0

    run("whole")
    run("killed", "sample", "projection")
    assert file_bytes(tmp_path / "killed") == file_bytes(tmp_path / "whole")
