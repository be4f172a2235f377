"""The terms of texts, and which of them distinguish a cluster."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from clustering.concepts import PRIOR, count_terms, distinctive_terms, terms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A red fox, a RED one!", {"a", "red", "fox", "one"}),
        ("It's 20% off", {"it", "s", "20", "off"}),
        ("हिन्दी में", {"हिन्दी", "में"}),
        ("Größe\nÉcole", {"größe", "école"}),
        ("浣熊夜 fox", {"浣熊", "熊夜", "fox"}),
        ("犬と山", {"犬と", "と山"}),
        ("山", {"山"}),
        ("ราว", {"รา", "าว"}),
        ("...", set()),
        ("", set()),
    ],
)
def test_terms_are_words_and_pairs_of_characters_of_scripts_without_spaces(
    text: str, found: set[str]
) -> None:
    assert terms(text) == found


def test_a_term_counts_once_for_each_text() -> None:
    assert count_terms(["fox fox", "fox den"]) == {"fox": 2, "den": 1}


def test_terms_are_in_the_order_of_the_published_score() -> None:
    own, corpus = Counter(a=40, fox=30, den=2), Counter(a=4000, fox=60, den=2, cat=900)

    def score(term: str) -> float:
        prior = PRIOR * (own[term] + corpus[term]) / (own.total() + corpus.total())
        one, other = own[term] + prior, corpus[term] + prior
        here = math.log(one / (own.total() + PRIOR - one))
        there = math.log(other / (corpus.total() + PRIOR - other))
        return (here - there) / math.sqrt(1 / one + 1 / other)

    assert distinctive_terms(own, corpus, 3) == sorted(["fox", "den"], key=score, reverse=True)
    assert score("a") < 0


def test_words_of_all_texts_do_not_distinguish_a_cluster() -> None:
    everywhere = [f"the {word} of the day" for word in ("river", "house", "tree")] * 50
    raccoons = ["a raccoon in the house", "the raccoon of the day", "raccoon"]
    found = distinctive_terms(count_terms(raccoons), count_terms(everywhere + raccoons), 2)
    assert found[0] == "raccoon"
    assert not {"the", "of"} & {*found}


def test_the_terms_of_a_rare_concept_in_chinese_are_found() -> None:
    corpus = ["一只狗在公园里", "一只猫在公园里"] * 40
    rare = ["一只浣熊在树上", "浣熊"]
    assert distinctive_terms(count_terms(rare), count_terms(corpus + rare), 1) == ["浣熊"]
