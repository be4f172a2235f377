"""A sentence that leads on from a name that is not known."""

from __future__ import annotations

import pytest

from manifests.step.spelling import nearest


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        (["threshold", "keep"], "Did you mean 'threshold'?"),
        (["b", "a"], "The known names are: a, b."),
        ([], "There is none."),
    ],
)
def test_the_nearest_name_or_all_names_or_that_there_is_none(
    known: list[str], sentence: str
) -> None:
    assert nearest("treshold", known) == sentence
