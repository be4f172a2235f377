"""`duplicate_images`: one image of every family stays, the others leave their records."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.filters.duplicates import planted
from tests.filters.duplicates.outcomes import find_duplicate_images
from tests.filters.duplicates.records import by_id, flip_bits, image_digest, random_hashes, row
from tests.filters.duplicates.test_perceptual import looks

SHOWN = {"text": None, "role": None, "loss": None}
REST = {"media": None, "role": None, "loss": None}
NOTHING = {"point": None, "polygon": None, "box3d": None, "start": None, "end": None,
           "text": None, "track": None, "attributes": None}  # fmt: skip


def shows(*parts: str | int) -> list[dict[str, Any]]:
    """Segments of content: a text for a string, an image for its number."""
    return [
        {"kind": "text", "text": part, **REST}
        if isinstance(part, str)
        else {"kind": "image", "media": part, **SHOWN}
        for part in parts
    ]


def record(key: str, hashes: list[int | None], *content: str | int, **more: Any) -> dict[str, Any]:
    """A record of images named after it, as wide as in `widths`."""
    widths = more.pop("widths", [10] * len(hashes))
    media = [
        {
            "kind": "image",
            "uri": f"{key}{n}",
            "digest": image_digest(h or 0),
            "width": w,
            "height": 10,
        }
        for n, (h, w) in enumerate(zip(hashes, widths, strict=True))
    ]
    made = row(key, hashes=hashes, media=media, **more)
    return {**made, "content": shows(*content)}


def uris(outcomes: dict[str, Any]) -> list[str]:
    return [medium["uri"] for medium in outcomes["media"]]


def box(media: int | None, label: str) -> dict[str, Any]:
    return {"label": label, "media": media, "box": [1.0, 2.0, 3.0, 4.0], **NOTHING}


A, B, C, D = random_hashes(1, 4)
BOTH = pytest.mark.parametrize("by", ["perceptual", "image"])


@BOTH
def test_removed_images_take_their_segments_and_objects_and_the_others_are_renumbered(
    by: str,
) -> None:
    objects = [box(n, f"in {n}") for n in (0, 1, 2, 3, 1)] + [box(None, "nowhere")]
    rows = [
        record("a", [A, B, C, D], "one", 0, 1, "two", 2, "three", 3, objects=objects,
               widths=[10, 10, 30, 10]),
        record("b", [B, C], 0, "four", 1, widths=[20, 20], objects=[box(1, "c"), box(0, "b")]),
        record("c", [D], "five", 0, widths=[40]),
    ]  # fmt: skip
    assert find_duplicate_images(rows, by=by) == {
        "a": {
            "removed": 2,
            "survivors": ["b", "c"],
            "media": [rows[0]["media"][n] | NO for n in (0, 2)],
            "content": shows("one", 0, "two", 1, "three"),
            "objects": [box(0, "in 0"), box(1, "in 2"), box(None, "nowhere")],
            "drop": None,
        },
        "b": {
            "removed": 1,
            "survivors": ["a"],
            "media": [rows[1]["media"][0] | NO],
            "content": shows(0, "four"),
            "objects": [box(0, "b")],
            "drop": None,
        },
        "c": {
            "removed": 0,
            "survivors": [],
            "media": [rows[2]["media"][0] | NO],
            "content": shows("five", 0),
            "objects": [],
            "drop": None,
        },
    }


NO = dict.fromkeys(
    ("offset", "length", "mime", "duration", "fps", "frames", "orientation", "camera")
)


@BOTH
def test_a_record_without_images_left_is_dropped_unless_keep_text_is_set(by: str) -> None:
    rows = [record("a", [A], "outcomes", 0, widths=[20]), record("b", [A], 0, "outcomes"),
            record("c", [A], 0), record("d", [], "outcomes"), record("e", [])]  # fmt: skip
    gone = "no image left"
    outcomes = find_duplicate_images(rows, by=by)
    drops = {key: one["drop"] for key, one in outcomes.items()}
    assert drops == {"a": None, "b": gone, "c": gone, "d": None, "e": None}
    outcomes = find_duplicate_images(rows, by=by, keep_text=True)
    drops = {key: one["drop"] for key, one in outcomes.items()}
    assert drops == {"a": None, "b": None, "c": gone, "d": None, "e": None}
    assert outcomes["b"]["content"] == shows("outcomes")
    assert [outcomes[key]["survivors"] for key in "abcde"] == [[], ["a"], ["a"], [], []]


@BOTH
def test_of_equal_images_in_one_record_one_stays(by: str) -> None:
    rows = [record("a", [A, B, A, A], 0, 1, "text", 2, 3, widths=[10, 10, 10, 30])]
    outcomes = find_duplicate_images(rows, by=by)["a"]
    assert uris(outcomes) == ["a1", "a3"]
    assert outcomes["content"] == shows(0, "text", 1)
    assert (outcomes["removed"], outcomes["survivors"], outcomes["drop"]) == (2, ["a", "a"], None)


@BOTH
def test_the_image_with_most_pixels_stays_then_that_of_the_lowest_id(by: str) -> None:
    wide = dict.fromkeys("abcd", 10)
    rows = [record(key, [A, B], 0, 1, widths=[wide[key], 10]) for key in wide]
    first = by_id("abcd")[0]
    outcomes = find_duplicate_images(rows, by=by)
    assert {key: one["removed"] for key, one in outcomes.items() if key != first} == dict.fromkeys(
        set("abcd") - {first}, 2
    )
    last = by_id("abcd")[-1]
    rows = [record(key, [A, B], 0, 1, widths=[10 + (key == last), 10]) for key in wide]
    outcomes = find_duplicate_images(rows, by=by)
    assert uris(outcomes[last]) == [f"{last}0"]
    assert uris(outcomes[first]) == [f"{first}1"]


def test_keep_may_use_measures_of_the_record_and_its_source() -> None:
    rows = [record("a", [A], 0, score=1, source="x"), record("b", [A], 0, score=2, source="y")]
    assert find_duplicate_images(rows, keep="-score.value")["a"]["removed"] == 1
    assert find_duplicate_images(rows, keep="score.value")["b"]["removed"] == 1
    assert find_duplicate_images(rows, keep={"source": ["y"]})["a"]["removed"] == 1
    assert find_duplicate_images(rows, keep={"source": ["x"]})["b"]["removed"] == 1


def test_similar_images_with_different_bytes_are_equal_only_by_perceptual() -> None:
    near, mirrored = flip_bits(A, 1, 2, 3), flip_bits(B, 5)
    rows = [
        record("a", [A, B], 0, 1, mirrors=[C, D], widths=[20, 20]),
        record("b", [near, None, D], 0, 1, 2, mirrors=[flip_bits(C, 1), None, mirrored]),
    ]
    assert uris(find_duplicate_images(rows)["b"]) == ["b1"]
    assert find_duplicate_images(rows, distance=0)["b"]["removed"] == 1
    assert find_duplicate_images(rows, by="image")["b"]["removed"] == 0


def test_blank_images_all_stay() -> None:
    rows = [record(key, [None, None], 0, 1) for key in "ab"]
    assert [one["removed"] for one in find_duplicate_images(rows).values()] == [0, 0]


def test_a_corpus_without_images_is_unchanged() -> None:
    rows = [record(key, [], "text") for key in "ab"]
    for by in ("image", "perceptual"):
        outcomes = find_duplicate_images(rows, by=by)
        assert [(one["removed"], one["drop"]) for one in outcomes.values()] == [(0, None)] * 2


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_of_every_family_exactly_one_image_stays(seed: int, parts: int) -> None:
    chance = random.Random(seed)
    pool = planted.images(seed, 20, 60)
    rows = []
    for number in range(40):
        shown = [pool[chance.randrange(len(pool))] for _ in range(chance.randrange(4))]
        hashes: list[int | None] = [h for h, _ in shown]
        widths = [chance.randrange(10, 14) for _ in shown]
        mirrors = [m for _, m in shown]
        rows.append(
            record(f"r{number}", hashes, *range(len(shown)), mirrors=mirrors, widths=widths)
        )
    known, outcomes = looks(rows, 6), find_duplicate_images(rows, parts, chains="keep")
    best = _best_of_each(rows, known)
    stays = {
        (key, int(uri.removeprefix(key))) for key, one in outcomes.items() for uri in uris(one)
    }
    assert stays == set(best.values())
    for one in rows:
        images = [(one["key"], n) for n in range(len(one["media"]))]
        gone = [at for at in images if at not in stays]
        found = outcomes[one["key"]]
        assert found["removed"] == len(gone)
        assert found["survivors"] == [best[known[at]][0] for at in gone]
        assert found["content"] == shows(*range(len(images) - len(gone)))
        assert (found["drop"] is None) == (not gone or len(gone) < len(images))


def _best_of_each(
    rows: list[dict[str, Any]], known: dict[tuple[str, int], int]
) -> dict[int, tuple[str, int]]:
    """The widest image of every family; of equal widths, the first image of the lowest id."""
    order = {key: n for n, key in enumerate(by_id(one["key"] for one in rows))}
    wide = {(one["key"], n): m["width"] for one in rows for n, m in enumerate(one["media"])}
    best: dict[int, tuple[str, int]] = {}
    ranked = sorted(known, key=lambda at: (-wide[at], order[at[0]], at[1]))
    for at in ranked:
        best.setdefault(known[at], at)
    return best
