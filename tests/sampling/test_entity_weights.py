"""The steps `metaclip`, `head` and `power`: their probabilities and weights are their formulas."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curate.sampling.head import Head
from curate.sampling.metaclip import Metaclip, limit_of_share, tail_share
from curate.sampling.power import Power
from manifests.errors import StepError
from manifests.step import CorpusStep
from tests.filters.corpus_steps import MemoryCorpus, decide
from tests.filters.rows import answers
from tests.sampling.corpora import in_parts, sampled, table

LISTS, TEXT = pa.list_(pa.string()), pa.string()


def zipf_lists(rows: int, seed: int) -> list[list[str]]:
    """Lists of up to five entities, a few of which are in most of the records."""
    chance = np.random.default_rng(seed)
    drawn = chance.zipf(1.4, (rows, 5)) % 2000
    sizes = chance.integers(0, 6, rows)
    return [
        [f"e{n}" for n in dict.fromkeys(d[:s].tolist())] for d, s in zip(drawn, sizes, strict=True)
    ]


def probabilities(step: CorpusStep, corpus: pa.Table | MemoryCorpus, parts: int = 3) -> list[Any]:
    given = in_parts(corpus, parts) if isinstance(corpus, pa.Table) else corpus
    return [p for _, o in decide(step, given) for p in o.columns["probability"].to_pylist()]


def metaclip_reference(lists: list[list[str]], t: dict[str, int] | int) -> list[float]:
    counts = Counter(entity for own in lists for entity in own)
    limit = t if isinstance(t, dict) else dict.fromkeys(counts, t)
    return [1 - float(np.prod([1 - min(1, limit[e] / counts[e]) for e in own])) for own in lists]


def test_metaclip_is_the_published_formula() -> None:
    lists = zipf_lists(5000, 1)
    found = probabilities(Metaclip(t=50), table(5000, **{"entities.ids": pa.array(lists, LISTS)}))
    assert np.allclose(found, metaclip_reference(lists, 50), rtol=1e-12, atol=1e-15)
    assert min(found) == 0
    assert max(found) == 1


def test_metaclip_2_has_a_limit_for_each_language_with_the_same_tail() -> None:
    lists = zipf_lists(4000, 2)
    languages = ["en" if n % 4 else "sw" for n in range(4000)]
    corpus = table(4000, **{"entities.ids": pa.array(lists, LISTS)}, language=pa.array(languages))
    found = probabilities(Metaclip(t=40, by="language"), corpus)
    counts = {
        own: Counter(
            e for one, lang in zip(lists, languages, strict=True) if lang == own for e in one
        )
        for own in ("en", "sw")
    }
    english = np.array(list(counts["en"].values()))
    tail = english[english < 40].sum() / english.sum()
    rising = sorted(counts["sw"].values())
    shares = np.cumsum(rising) / sum(rising)
    t = {"en": 40, "sw": rising[int(np.argmin(np.abs(shares - tail)))]}
    assert 1 < t["sw"] < 40
    expected = [
        1 - float(np.prod([1 - min(1, t[lang] / counts[lang][e]) for e in own]))
        for own, lang in zip(lists, languages, strict=True)
    ]
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_the_tail_of_one_language_gives_the_limit_of_another() -> None:
    assert tail_share(np.array([1, 2, 7]), 5) == pytest.approx(0.3)
    assert tail_share(np.array([1, 5, 4]), 5) == pytest.approx(0.5)  # 5 records are no tail
    assert limit_of_share(np.array([7, 1, 2]), 0.3) == 2
    assert limit_of_share(np.array([7, 1, 2]), 0.0) == 1
    assert limit_of_share(np.array([7, 1, 2]), 1.0) == 7


def test_kept_records_of_an_entity_are_at_least_its_limit_or_all() -> None:
    lists = zipf_lists(100_000, 3)
    corpus = table(100_000, **{"entities.ids": pa.array(lists, LISTS)})
    p = np.array(probabilities(Metaclip(t=300), corpus))
    kept = sampled(corpus.append_column("p", pa.array(p)), probability="p").mask
    assert abs(kept.sum() - p.sum()) < 4 * np.sqrt((p * (1 - p)).sum())
    before = Counter(e for own in lists for e in own)
    after = Counter(e for own, one in zip(lists, kept, strict=True) if one for e in own)
    for entity, count in before.items():
        least = min(count, 300)
        assert after[entity] >= (count if count <= 300 else least - 4 * np.sqrt(least))


def test_weights_of_entities_do_not_depend_on_parts() -> None:
    lists = zipf_lists(3000, 4)
    corpus = table(3000, **{"entities.ids": pa.array(lists, LISTS)})
    one = probabilities(Metaclip(t=20), corpus, parts=1)
    assert probabilities(Metaclip(t=20), corpus, parts=8) == one
    turned = corpus.take(pa.array(np.arange(3000)[::-1]))
    assert probabilities(Metaclip(t=20), turned, parts=5) == one[::-1]


def test_records_without_a_list_have_no_probability_and_repeated_entities_count_once() -> None:
    lists = pa.array([["a", "a"], None, [], ["a", "b", None]], LISTS)
    assert probabilities(Metaclip(t=1), table(4, **{"entities.ids": lists}), parts=1) == [
        0.5, None, 0, 1
    ]  # fmt: skip


def test_mistakes_of_metaclip_are_named() -> None:
    corpus = table(1, **{"entities.ids": pa.array([["a"]], LISTS)}, language=pa.array(["de"]))
    with pytest.raises(StepError, match="no record with entities has the value 'en'"):
        probabilities(Metaclip(by="language"), corpus, parts=1)
    with pytest.raises(StepError, match="column 'language' has the type string"):
        probabilities(Metaclip(of="language"), corpus, parts=1)
    empty = table(1, **{"entities.ids": pa.array([[]], LISTS)}, language=pa.array(["de"]))
    assert probabilities(Metaclip(by="language"), empty, parts=1) == [0]


def head_corpus() -> tuple[pa.Table, list[list[int]]]:
    """40,000 records of entities 0 to 99: entity n has category c(n % 3) and prominence n."""
    chance = np.random.default_rng(5)
    lists = [sorted(set(own)) for own in chance.integers(0, 100, (40_000, 2)).tolist()]
    columns = {
        "entities.ids": pa.array([[f"e{n:02d}" for n in own] for own in lists], LISTS),
        "entities.categories": pa.array([[f"c{n % 3}" for n in own] for own in lists], LISTS),
        "entities.prominences": pa.array(
            [[float(n) if n else None for n in own] for own in lists], pa.list_(pa.float64())
        ),
    }
    return table(40_000, **columns), lists


@pytest.mark.parametrize("categories", [None, {"c0": 3.0, "c1": 1.0}])
def test_head_is_the_documented_formula(categories: dict[str, float] | None) -> None:
    corpus, lists = head_corpus()
    settings = {"alpha": 0.7, "floor": 5, "cap": 60, "min": 20, "max": 150}
    found = probabilities(Head(records=5000, categories=categories, **settings), corpus)
    q = np.clip(np.arange(100), 5, 60) ** 0.7
    category = np.arange(100) % 3
    if categories is None:
        q /= q.sum()
    else:
        for n, share in enumerate((0.75, 0.25, 0)):
            q[category == n] *= share / q[category == n].sum()
    quota = np.where(q > 0, np.clip(np.floor(5000 * q + 0.5), 20, 150), 0)
    available = np.bincount([n for own in lists for n in own], minlength=100)
    p = np.minimum(1, quota / available)
    expected = [1 - np.prod(1 - p[own]) for own in lists]
    assert np.allclose(found, expected, rtol=1e-12)


def test_head_prefers_prominent_entities_and_fills_their_quotas() -> None:
    corpus, lists = head_corpus()
    p = np.array(probabilities(Head(records=5000, alpha=1), corpus))
    kept = sampled(corpus.append_column("p", pa.array(p)), probability="p").mask
    after = np.bincount([n for own, one in zip(lists, kept, strict=True) if one for n in own])
    quota = np.floor(5000 * np.maximum(np.arange(100), 1) / 4951 + 0.5)
    assert (after > quota - 4 * np.sqrt(quota)).all()
    assert after[90:].sum() > 2 * after[:10].sum()
    exact = sampled(corpus.append_column("p", pa.array(p)), records=5000, weight="p").mask
    assert exact.sum() == 5000


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"floor": 3, "cap": 2}, "floor 3.0 is over cap 2.0"),
        ({"min": 3, "max": 2}, "min 3 is over max 2"),
        ({"alpha": 0}, "greater than 0"),
        ({"alpha": 1.5}, "less than or equal to 1"),
    ],
)
def test_settings_of_head_that_mean_nothing_are_refused(
    settings: dict[str, float], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        Head.model_validate({"records": 10, **settings})


def test_power_is_a_clipped_number_to_an_exponent() -> None:
    batch = pa.table({"x": pa.array([0.0, 0.5, 4, 100, None, -1])})
    made = answers(Power(of="x", exponent=0.5, floor=1, cap=25), batch)
    assert made["weight"][4:] == [None, None]
    assert made["weight"][:4] == pytest.approx([1, 1, 2, 5], rel=1e-14)
    assert [e for e in made["error"] if e] == ["the number 'x' is -1.0, which is negative"]
    made = answers(Power(of="x", exponent=-1), batch)
    assert made["weight"][:1] + made["weight"][4:] == [None] * 3
    assert made["weight"][1:4] == pytest.approx([2, 0.25, 0.01], rel=1e-14)
    assert made["error"][0] == (
        "the number 'x' is 0, which has no negative power. Set `floor` of the step `power`."
    )
    assert answers(Power(of="x", exponent=2), batch)["weight"][0] == 0
    assert answers(Power(of="x", exponent=0), batch)["weight"][0] == 1  # also 0 to the power of 0
    with pytest.raises(ValueError, match=r"floor 3.0 is over cap 1.0"):
        Power(of="x", exponent=1, floor=3, cap=1)
