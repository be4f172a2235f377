"""Evidence of splits adds up to the same sum in every order, and the sum stays small."""

from __future__ import annotations

import random

import pytest

from curate.ingest import evidence
from curate.ingest.evidence import Evidence, from_json, to_json, total


def test_evidence_is_added_for_each_question() -> None:
    a = {"x": Evidence({"n": 1}, {"side": 2.0}, {"wrong": [1, 2]}, ["b", "a"])}
    b = {"x": Evidence({"n": 2, "m": 1}, {"side": 1.0}, {"wrong": [*range(9)]}, ["a", "c"])}
    c = {"y": Evidence({}, {}, {})}
    found = total([a, b, c])
    assert found == {
        "x": Evidence(
            {"m": 1, "n": 3}, {"side": 2.0}, {"wrong": [1, 2, 0, 1, 2, 3, 4, 5]}, ["a", "b", "c"]
        ),
        "y": Evidence({}, {}, {}, []),
    }
    assert from_json(to_json(found)) == found
    assert total([total([a]), total([b, c])]) == found


def test_a_sample_keeps_the_smallest_texts_in_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAX_SAMPLE", 100)
    texts = [f"{n:05}" for n in range(5000)]
    random.Random(0).shuffle(texts)
    splits = [{"x": Evidence({}, {}, {}, texts[at : at + 70])} for at in range(0, 5000, 70)]
    smallest = sorted(texts)[:100]
    assert total(splits)["x"].sample == smallest
    assert total(reversed(splits))["x"].sample == smallest
    assert total([total(splits[:9]), total(splits[9:])])["x"].sample == smallest
