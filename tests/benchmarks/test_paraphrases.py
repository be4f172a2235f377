"""The paraphrases that `benchmarks.semantic_text` plants."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.paraphrases import RULES, paraphrase


@pytest.mark.parametrize(
    ("rule", "caption", "expected"),
    [
        (
            "order",
            "Two dogs run after a ball on the beach",
            "On the beach, two dogs run after a ball",
        ),
        ("order", "A dog.", None),
        ("voice", "A man holding a bat at a game", "A bat is being held by a man at a game"),
        ("voice", "A man near a bat", None),
        ("synonym", "nothing to change", None),
    ],
)
def test_a_rule_changes_the_words_and_not_the_meaning(
    rule: str, caption: str, expected: str | None
) -> None:
    assert RULES[rule](caption, Random(0)) == expected


def test_a_paraphrase_depends_on_the_caption_and_the_seed_alone() -> None:
    captions = [f"A man holding a large bat at game {n}" for n in range(30)]
    once = [paraphrase(caption, 1) for caption in captions]
    assert once == [paraphrase(caption, 1) for caption in captions]
    assert once != [paraphrase(caption, 2) for caption in captions]
    assert all(one and one.rules and one.text for one in once)
