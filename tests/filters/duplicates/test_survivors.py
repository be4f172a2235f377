"""The setting `keep`: which record of a family stays, in any order of the records."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from manifests.errors import StepError
from tests.filters.duplicates.outcomes import find_duplicates, kept_keys
from tests.filters.duplicates.records import by_id, image_digest, row

TEXT = "the same text of every record"


def stays(rows: list[dict[str, Any]], keep: Any, **settings: Any) -> str:
    """The key of the record that stays, the same for several orders of the records."""
    found = set()
    for order in itertools.islice(itertools.permutations(rows), 0, None, 5):
        found |= kept_keys(find_duplicates(order, by="text", keep=keep, **settings))
    (one,) = found
    return one


def scored(**values: float | None) -> list[dict[str, Any]]:
    return [row(key, TEXT, score=value) for key, value in values.items()]


def medium(**known: Any) -> dict[str, Any]:
    return {"kind": "image", "uri": "x.jpg", **known}


def shown(**media: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row(key, TEXT, media=some) for key, some in media.items()]


def test_the_lowest_value_is_best_and_with_a_minus_the_highest() -> None:
    rows = scored(a=2, b=1, c=3)
    assert stays(rows, "score.value") == "b"
    assert stays(rows, "-score.value") == "c"


def test_a_missing_value_is_worst_with_and_without_a_minus() -> None:
    rows = scored(a=None, b=5, c=float("nan"))
    assert stays(rows, "score.value") == "b"
    assert stays(rows, "-score.value") == "b"


def test_ties_of_one_measure_are_decided_by_the_next() -> None:
    rows = [row("a", TEXT, score=1, objects=[{}]), row("b", TEXT, score=1), row("c", TEXT, score=2)]
    assert stays(rows, ["score.value", "objects.count"]) == "b"
    assert stays(rows, ["-score.value", "objects.count"]) == "c"
    assert stays(rows, ["-objects.count", "-score.value"]) == "a"


def test_ties_of_all_measures_are_decided_by_the_id() -> None:
    rows = scored(a=1, b=1, c=1, d=1)
    first = by_id("abcd")[0]
    assert stays(rows, "score.value") == first
    assert stays(rows, "id") == first
    assert stays(rows, []) == first


def test_measures_after_the_id_never_decide() -> None:
    values = dict.fromkeys(by_id("abcd"), 9.0)
    values |= {by_id("abcd")[-1]: 0.0}
    assert stays(scored(**values), ["id", "score.value"]) == by_id("abcd")[0]


def test_sources_are_ranked_in_the_order_given_and_before_all_others() -> None:
    rows = [
        row(key, TEXT, source=source) for key, source in zip("abc", ("x", "y", "z"), strict=True)
    ]
    assert stays(rows, {"source": ["y", "z"]}) == "b"
    assert stays(rows, [{"source": ["w", "z"]}, "id"]) == "c"
    assert stays(rows, {"source": ["w"]}) == by_id("abc")[0]
    assert stays(rows[:2], {"source": ["z"]}) == by_id("ab")[0]


def test_the_length_of_a_text_counts_characters() -> None:
    rows = [row("a", "ein Maß   "), row("b", "Ein  Maß"), row("c", "EIN\u3000MAß")]
    assert stays(rows, "text.length") == "c"  # of the most bytes
    assert stays(rows, "-text.length") == "a"


def test_words_of_a_text_can_be_counted() -> None:
    near = [row("a", "!! one, two three four"), row("b", "one, two three four")]
    kept = kept_keys(find_duplicates(near, by="minhash", keep="text.words"))
    assert kept == {"b"}
    assert kept_keys(find_duplicates(near, by="minhash", keep="-text.words")) == {"a"}


def test_pixels_and_bytes_are_summed_over_all_media_and_unknown_ones_are_worst() -> None:
    rows = shown(
        a=[medium(width=30, height=20, length=10)],
        b=[medium(width=20, height=10, length=3)] * 4,
        c=[medium(width=900, height=None, length=None)],
    )
    assert stays(rows, "-media.pixels") == "b"
    assert stays(rows, "media.pixels") == "a"
    assert stays(rows, "-media.bytes") == "b"
    assert stays(rows, "media.bytes") == "a"
    assert stays(rows, "-media.count") == "b"
    assert stays(shown(a=[medium()], b=[]), "media.pixels") == "b"
    assert stays(shown(a=[medium(width=1, height=1)], b=[]), "-media.pixels") == "a"


def test_objects_are_counted() -> None:
    rows = [row(key, TEXT, objects=[{"label": "x"}] * n) for key, n in (("a", 2), ("b", 1))]
    assert stays(rows, "objects.count") == "b"
    assert stays(rows, "-objects.count") == "a"


def test_by_default_the_record_with_most_pixels_then_the_longest_text_stays() -> None:
    images = {"media": [medium(digest=image_digest(1), width=9, height=9)]}
    larger = {"media": [medium(digest=image_digest(1), width=9, height=10)]}
    rows = [
        row("a", "long text", **images),
        row("b", "text", **larger),
        row("c", "text", **images),
    ]
    assert kept_keys(find_duplicates(rows, by="image")) == {"b"}
    assert kept_keys(find_duplicates([rows[0], rows[2]], by="image")) == {"a"}


def test_the_best_of_equal_records_stays_not_their_representative() -> None:
    """Equal texts of a part are compared once, by a representative; still the best one stays."""
    rows = scored(a=1, b=2, c=3, d=9, e=4)
    assert kept_keys(find_duplicates(rows, 1, by="minhash", keep="-score.value")) == {"d"}


def test_a_measure_that_is_not_a_number_is_an_error() -> None:
    with pytest.raises(StepError, match="the measure 'origin' is not a number: its type is string"):
        find_duplicates(scored(a=1, b=2), by="text", keep="origin")
