"""Estimates from few replies say how certain they are, and are never negative."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest

from manifests.step import Prices
from recaption.caption.recaption import Recaption
from recaption.client.journal import Journal
from recaption.client.outlook import (
    NORMAL_95,
    SAME_PROMPT,
    SAMPLE,
    History,
    Outlook,
    Paid,
    from_history,
    from_paid,
)

PRICES = Prices(input=1.0, output=4.0, request=0.001)


def history(*tokens: int) -> History:
    squares = float(sum(one**2 for one in tokens))
    return History(len(tokens), sum(tokens), squares, 2.0 * len(tokens))


def test_an_estimate_from_the_same_prompts_has_the_error_of_their_mean() -> None:
    tokens = (10, 20, 60, 90)
    made = from_history([history(*tokens[:3]), history(tokens[3])], 100, 5000, PRICES)
    assert made is not None
    spread = statistics.stdev(tokens)
    assert made == (
        SAME_PROMPT, 4, 100, 5000, 4500.0, 45.0, pytest.approx(spread),
        pytest.approx((5000 * 1.0 + 4500 * 4.0) / 1e6 + 0.1),
        pytest.approx(NORMAL_95 * spread / 2 * 100 * 4.0 / 1e6), 200.0,
    )  # fmt: skip


def test_the_error_of_an_estimate_from_one_reply_is_not_known() -> None:
    made = from_history([history(20)], 100, 5000, PRICES)
    assert made is not None
    assert (made.replies, made.output_tokens) == (1, 2000.0)
    assert math.isnan(made.spread)
    assert math.isnan(made.money_error)
    one = from_paid([Paid(1, 50, 20, 2.0, 45)], 100, 5000, PRICES, SAMPLE)
    assert math.isnan(one.spread)
    assert math.isnan(one.money_error)


def test_without_a_reply_there_is_no_estimate() -> None:
    assert from_history([], 100, 5000, PRICES) is None
    assert from_history([History()], 100, 5000, PRICES) is None


def test_an_estimate_adds_what_the_endpoint_counts_on_top() -> None:
    paid = [Paid(1, 60, 20, 2.0, 50), Paid(2, 140, 40, 4.0, 60)]
    made = from_paid(paid, 100, 5000, PRICES, SAMPLE)
    assert (made.requests, made.input_tokens) == (150.0, 1.5 * (5000 + 100 * 10))
    assert (made.output_tokens, made.per_request, made.seconds) == (3000.0, 30.0, 300.0)
    assert made.money == pytest.approx((9000 * 1.0 + 3000 * 4.0) / 1e6 + 0.15)
    costs = [0.001 + (50 + 80) / 1e6, 0.002 + (100 + 160) / 1e6]
    error = NORMAL_95 * statistics.stdev(costs) / math.sqrt(2) * 100
    assert made.money_error == pytest.approx(error)


def test_input_tokens_are_not_negative_if_the_endpoint_counts_fewer() -> None:
    paid = [Paid(1, 100, 20, 2.0, 900)] * 2
    assert from_paid(paid, 100, 5000, PRICES, SAMPLE).input_tokens == 0.0


def test_the_history_has_the_replies_of_the_model_by_prompt(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "journal"))
    for n, (model, prompt, tokens) in enumerate(
        [("m", "caption 1", 20), ("m", "caption 1", 50), ("m", "judge 1", None), ("other", "a", 9)]
    ):
        about = {"model": model, "prompt": prompt, "output_tokens": tokens, "seconds": 1.5}
        journal.add(bytes([n]) * 16, 200, "{}", about)
    journal.close()
    step = Recaption(model="m", endpoint="http://127.0.0.1:1/v1")
    assert Outlook(step, str(tmp_path)).history == {
        "caption 1": History(2, 70, 20.0**2 + 50.0**2, 3.0),
        "judge 1": History(1, 0, 0.0, 1.5),
    }
