"""The step `sample`: sizes, weights, inclusion probabilities, and what the result depends on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curate.engine.progress import Progress
from curate.sampling.sample import Sample
from curate.sampling.selection import limits
from manifests import record
from manifests.errors import RecipeError, StepError
from tests.filters.corpus_steps import temporary_workspace
from tests.runs import caption_recipe, run_engine
from tests.sampling.corpora import SEED, in_parts, sampled, table

ROWS = 100_000
WEIGHTS = np.array([0.0, 1, 2, 5, 20])[np.arange(ROWS) % 5]


def chi_square(kept: np.ndarray, probability: np.ndarray, classes: np.ndarray) -> float:
    """The statistic of a chi-square test: numbers of kept records by class against the sums of
    their probabilities."""
    count, expected = np.bincount(classes, kept), np.bincount(classes, probability)
    variance = np.bincount(classes, probability * (1 - probability))
    used = variance > 0
    return float(((count - expected)[used] ** 2 / variance[used]).sum())


def threshold(weights: np.ndarray, size: int) -> float:
    """The t with which 1 - exp(-weight * t), summed over all records, is `size`."""
    low, high = 0.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if -np.expm1(-weights * middle).sum() > size else (middle, high)
    return low


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_records_are_kept_with_the_probability_of_their_weight(seed: int) -> None:
    found = sampled(table(ROWS, w=WEIGHTS), seed, records=10_000, weight="w")
    assert found.mask.sum() == 10_000
    formula = -np.expm1(-WEIGHTS * threshold(WEIGHTS, 10_000))
    # The 0.1 % point of chi-square with 3 degrees of freedom: 4 classes, whose sum is fixed.
    assert chi_square(found.mask, formula, np.arange(ROWS) % 5) < 16.3
    # The ranks of 10,000 records vary by 1 %, and the measured probabilities with them.
    assert np.allclose(found.probability, formula, rtol=0.04)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_weights_every_record_has_the_same_chance(seed: int) -> None:
    found = sampled(table(ROWS), seed, records=20_000)
    same = np.full(ROWS, 0.2)
    assert chi_square(found.mask, same, np.arange(ROWS) % 50) < 85.4  # 0.1 %, 49 degrees of freedom
    assert chi_square(found.mask, same, np.arange(ROWS) // 2000) < 85.4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_record_on_its_own_is_kept_with_its_probability(seed: int) -> None:
    p = np.array([0.0, 0.1, 0.5, 0.9, 1.0])[np.arange(ROWS) % 5]
    found = sampled(table(ROWS, p=p), seed, probability="p")
    assert chi_square(found.mask, p, np.arange(ROWS) % 5) < 16.3  # 0.1 %, 3 degrees of freedom
    assert not found.mask[p == 0].any()
    assert found.mask[p == 1].all()
    assert (found.probability == p).all()


def test_the_sum_of_inverse_probabilities_estimates_the_number_of_records() -> None:
    weights = np.array([1.0, 3, 10])[np.arange(2000) % 3]
    whole = table(2000, w=weights)
    estimates = []
    for seed in range(100):
        found = sampled(whole, seed, parts=1, records=300, weight="w")
        estimates.append((1 / found.probability[found.mask]).sum())
    error = np.std(estimates) / 10
    assert abs(np.mean(estimates) - 2000) < 3 * error
    assert error < 20


def test_a_budget_of_tokens_lacks_less_than_the_next_record() -> None:
    tokens = np.arange(ROWS) % 1000
    whole = table(ROWS, w=WEIGHTS, **{"tokens.total": tokens})
    found = sampled(whole, tokens="2.5M", weight="w")
    assert found.mask.any()
    order = np.argsort(np.where(WEIGHTS > 0, found.rank, np.inf), kind="stable")
    kept = int(found.mask.sum())
    assert found.mask[order[:kept]].all()
    total = tokens[found.mask].sum()
    assert total <= 2_500_000 < total + tokens[order[kept]]


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_numbers_of_tokens_that_overflow_are_quarantined_and_the_budget_is_kept(
    kind: pa.DataType,
) -> None:
    tokens = pa.array([2**62, 10, 2**63 - 1, 2**40] * 25, kind)
    found = sampled(table(100, **{"tokens.total": tokens}), tokens=100)
    assert (np.asarray(tokens)[found.mask] == 10).all()
    assert found.mask.sum() <= 10
    refused = [message for message in found.errors if message]
    assert len(refused) == 50
    assert "It must be 0 to 1,099,511,627,776." in refused[0]


def test_a_corpus_within_the_size_is_kept_with_probability_1() -> None:
    whole = table(100, **{"tokens.total": np.arange(100)})
    for settings in ({"records": 100}, {"records": 900}, {"share": 1.0}, {"tokens": 4950}):
        found = sampled(whole, **settings)
        assert (found.mask.all(), found.probability.tolist()) == (True, [1.0] * 100)
    assert sampled(whole, tokens=4949).mask.sum() == 99
    none = sampled(whole, records=0)
    assert (none.mask.any(), none.probability.tolist()) == (False, [0.0] * 100)


def test_without_weights_the_records_with_the_smallest_hashes_are_kept() -> None:
    whole = table(5000)
    order = np.argsort(record.random_keys(whole["id"], SEED))
    assert set(np.flatnonzero(sampled(whole, records=700).mask)) == set(order[:700].tolist())


def test_the_result_is_the_same_from_any_parts_and_any_order() -> None:
    whole = table(3000, w=np.arange(3000) % 7, g=np.arange(3000) % 11)
    settings = {"records": 500, "weight": "w", "by": "g", "quotas": "equal"}
    first = sampled(whole, parts=1, **settings)
    for parts in (2, 9):
        shuffled = np.random.default_rng(parts).permutation(3000)
        found = sampled(whole.take(pa.array(shuffled)), parts=parts, **settings)
        assert (found.mask == first.mask[shuffled]).all()
        assert np.array_equal(found.rank, first.rank[shuffled], equal_nan=True)
        assert np.array_equal(found.probability, first.probability[shuffled], equal_nan=True)


def test_the_bins_are_halved_until_few_records_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table(20_000, w=1 + np.arange(20_000) % 7, g=np.arange(20_000) % 3,
                  **{"tokens.total": np.arange(20_000) % 50})  # fmt: skip
    settings = {"tokens": {"0": 9000, "1": 50_000}, "weight": "w", "by": "g"}
    expected = sampled(whole, **settings)
    monkeypatch.setattr(limits, "_FEW", 1)
    found = sampled(whole, **settings)
    assert (found.mask == expected.mask).all()
    for group, budget in ((0, 9000), (1, 50_000)):
        own = np.flatnonzero(np.asarray(whole["g"]) == group)
        order = own[np.argsort(expected.rank[own])]
        up_to = np.cumsum(np.asarray(whole["tokens.total"])[order])
        first_outside = int(np.flatnonzero(up_to > budget)[0])
        assert set(own[expected.mask[own]].tolist()) == set(order[:first_outside].tolist())


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    whole = table(5000, w=1 + np.arange(5000) % 7)
    small, large = (sampled(whole, records=n, weight="w").mask for n in (100, 1000))
    assert (small <= large).all()
    assert (sampled(whole, share=0.02).mask <= sampled(whole, share=0.1).mask).all()


def test_new_records_displace_only_as_many_as_are_kept_of_them() -> None:
    weights = 1 + np.arange(ROWS + 1000) % 7
    before = sampled(table(ROWS, w=weights[:ROWS]), records=10_000, weight="w").mask
    after = sampled(table(ROWS + 1000, w=weights), records=10_000, weight="w").mask
    gone, came = (before & ~after[:ROWS]).sum(), after[ROWS:].sum()
    assert not (after[:ROWS] & ~before).any()
    assert gone == came
    assert 50 < came < 150


def test_records_of_equal_rank_are_taken_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table(3000, w=np.full(3000, 1e18))  # so large that the random part is rounded away
    ids = whole["id"].to_pylist()
    for few in (1 << 20, 1):
        monkeypatch.setattr(limits, "_FEW", few)
        found = sampled(whole, records=10, log_weight="w")
        assert [ids[n] for n in np.flatnonzero(found.mask)] == [
            one for one in ids if one in sorted(ids)[:10]
        ]


def test_logarithms_of_weights_give_the_same_order_as_weights() -> None:
    weights = 2.0 ** (np.arange(3000) % 9)
    logs = np.log(weights)
    by_weight = sampled(table(3000, w=weights), records=400, weight="w")
    by_log = sampled(table(3000, w=logs), records=400, log_weight="w")
    assert (by_weight.mask == by_log.mask).all()
    far = sampled(table(3000, w=logs + 5000), records=400, log_weight="w")
    assert (far.mask == by_log.mask).all()
    assert np.allclose(far.probability, by_log.probability)


def test_what_has_no_usable_weight_is_dropped_or_quarantined_with_its_reason() -> None:
    whole = table(6, w=pa.array([1.0, None, 0, -1, np.inf, 2]))
    found = sampled(whole, records=6, weight="w")
    assert found.drop == [None, "no weight", "weight 0", "no weight", "no weight", None]
    wrong = "the weight 'w' is {}. It must be finite, and not negative."
    assert [e for e in found.errors if e] == [wrong.format(-1.0), wrong.format(np.inf)]
    assert np.array_equal(found.probability, [1, np.nan, 0, np.nan, np.nan, 1], equal_nan=True)
    found = sampled(table(3, p=pa.array([1.0, None, 1.5])), probability="p")
    assert found.drop == [None, "no probability", "no probability"]
    assert [e for e in found.errors if e] == ["the probability 'p' is 1.5. It must be from 0 to 1."]
    tokens = pa.array([3, None, -2, 0])
    found = sampled(table(4, **{"tokens.total": tokens}), tokens=3)
    assert found.drop == [None, "no number of tokens", "no number of tokens", None]


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "exactly one of"),
        ({"records": 1, "share": 0.5}, "exactly one of"),
        ({"records": 1, "weight": "a", "log_weight": "b"}, "only one of `weight`"),
        ({"probability": "p", "by": "g"}, "on its own"),
        ({"records": {"en": 3}}, "need the setting `by`"),
        ({"records": 3, "quotas": "equal"}, "need the setting `by`"),
        ({"records": 3, "by": "language"}, "needs `quotas`"),
        ({"share": 0.5, "by": "language", "quotas": "equal"}, "divides one total"),
        ({"records": {"en": 3}, "by": ["language", "source"]}, "single column"),
        ({"tokens": "2.5"}, "not a whole number"),
        ({"tokens": "2G"}, "not a whole number"),
        ({"records": -1}, "greater than or equal to 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, object], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        Sample.model_validate(settings)


def test_the_old_name_of_records_is_refused_with_the_new_one() -> None:
    what = caption_recipe(steps=[{"sample": {"rows": 5}}])
    with pytest.raises(RecipeError, match="'rows' is now called 'records': write the new name"):
        run_engine(what, Path(), Path("never-made"))


@pytest.mark.parametrize(
    ("settings", "column"),
    [({"weight": "x"}, "x"), ({"by": "f", "quotas": "equal"}, "f")],
)
def test_a_column_of_an_unusable_type_is_named(settings: dict[str, str], column: str) -> None:
    whole = table(2, x=pa.array(["a", "b"]), f=pa.array([0.5, 1]))
    with pytest.raises(StepError, match=f"the column '{column}' has the type"):
        sampled(whole, records=1, **settings)


def test_a_corpus_without_records_has_an_empty_sample() -> None:
    assert sampled(table(0), records=3).drop == []
    assert sampled(table(0), share=0.5, parts=1).drop == []


def test_a_note_states_that_fewer_records_than_asked_for_can_be_in_the_sample(
    capsys: pytest.CaptureFixture[str],
) -> None:
    corpus = in_parts(table(5, w=[0, 0, 1, 1, 1], t=[1] * 5), 2)
    for size in ({"records": 4}, {"records": 3}, {"tokens": 9, "token_column": "t"}):
        with temporary_workspace() as workspace:
            Sample(weight="w", **size).fit(corpus, workspace._replace(progress=Progress()), SEED)
    notes = capsys.readouterr().err.splitlines()
    assert [note for note in notes if "asked for" in note] == [
        "test: 4 records are asked for, but only 3 can be in the sample",
        "test: 9 tokens are asked for, but only 3 can be in the sample",
    ]
