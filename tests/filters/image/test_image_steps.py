"""The image steps: shapes from headers, numbers of images, and whether images decode."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from filters.image.image_decodes import ImageDecodes
from filters.image.image_shape import ImageShape
from filters.image.images import ImageCount
from manifests.media import FIX_MISSING_FILE, Limits, Media
from tests.filters.rows import answers, image_records, media_records, text_records
from tests.make import make_image

STAYS = None


def test_image_shape_measures_the_extremes_of_a_record_s_images() -> None:
    batch = image_records([(100, 50)], [], [(640, 480), (30, 90), (200, 200)])
    assert answers(ImageShape(), batch) == {
        "min_side": [50, None, 30],
        "max_side": [100, None, 640],
        "max_aspect": [2, None, 3],
        "min_pixels": [5000, None, 2700],
        "max_pixels": [5000, None, 307_200],
        "drop": [STAYS] * 3,
        "error": [None] * 3,
    }


def test_image_shape_drops_by_the_first_bound_that_is_broken() -> None:
    batch = image_records(
        [(199, 900)], [(200, 601)], [(200, 600)], [(5000, 5000)], [(300, 300)], []
    )
    step = ImageShape(min_side=200, max_aspect=3, min_pixels=100_000, max_pixels=9_000_000)
    assert answers(step, batch)["drop"] == [
        "image too small",
        "image too elongated",
        STAYS,
        "too many pixels",
        "too few pixels",
        STAYS,
    ]
    assert answers(ImageShape(max_side=600), batch)["drop"][:3] == [
        "image too large",
        "image too large",
        STAYS,
    ]


def test_an_image_of_unknown_size_is_an_error_and_measures_nothing() -> None:
    batch = image_records([(100, 50)], [(640, 480), (None, 90)], [(0, 5)])
    assert answers(ImageShape(min_side=1000), batch) == {
        "min_side": [50, None, None],
        "max_side": [100, None, None],
        "max_aspect": [2, None, None],
        "min_pixels": [5000, None, None],
        "max_pixels": [5000, None, None],
        "drop": ["image too small", STAYS, STAYS],
        "error": [
            None,
            *[
                "the width and height of an image are not known: read the source with "
                "its image files"
            ]
            * 2,
        ],
    }


def test_large_images_do_not_overflow() -> None:
    answer = answers(ImageShape(), image_records([(2**31 - 1, 2**31 - 1)]))
    assert answer["max_pixels"] == [(2**31 - 1) ** 2]


def test_image_count_counts_images_and_no_videos() -> None:
    image, video = {"kind": "image", "uri": "a"}, {"kind": "video", "uri": "b"}
    batch = media_records([image, video], [], [image] * 3, [video])
    assert answers(ImageCount(min=1, max=2), batch) == {
        "count": [1, 0, 3, 0],
        "drop": [STAYS, "too few images", "too many images", "too few images"],
        "error": [None] * 4,
    }


def test_slices_give_the_same_answers() -> None:
    batch = image_records([(9, 8)], [], [(7, 6), (5, 4)], [(3, 2)])
    for step in (ImageCount(min=1), ImageShape(min_side=4)):
        whole = answers(step, batch)
        for start in range(5):
            part = {name: column[start:] for name, column in whole.items()}
            assert answers(step, batch[start:]) == part
        joined = pa.concat_tables([batch[2:], batch[:2]])
        assert answers(step, joined) == {n: c[2:] + c[:2] for n, c in whole.items()}


def test_a_record_with_an_image_that_does_not_decode_is_quarantined(tmp_path: Path) -> None:
    whole = make_image(600, 400)
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.jpg").write_bytes(b"")
    (tmp_path / "page.jpg").write_bytes(b"<html>not found</html>")
    names = [["whole.jpg"], ["whole.jpg", "cut.jpg"], [], ["none.jpg"], ["page.jpg"], ["gone.jpg"]]
    batch = media_records(*([{"kind": "image", "uri": uri} for uri in uris] for uris in names))
    answer = answers(ImageDecodes(), batch, Media(str(tmp_path), side=64))
    assert (answer["decoded"], answer["drop"]) == ([1, None, 0, None, None, None], [STAYS] * 6)
    assert [bool(error) for error in answer["error"]] == [False, True, False, True, True, True]
    assert answer["error"][1].startswith(
        "cut.jpg: the image cannot be decoded: OSError: image file is truncated"
    )
    assert answer["error"][5] == f"gone.jpg: there is no such file. {FIX_MISSING_FILE}"


def test_a_record_with_an_image_over_a_limit_is_quarantined(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(make_image(600, 400))
    batch = media_records([{"kind": "image", "uri": "large.jpg"}])
    answer = answers(ImageDecodes(), batch, Media(str(tmp_path), limits=Limits(max_pixels=1000)))
    assert answer["error"][0].startswith("large.jpg: 600 x 400 pixels is over the limit of 1000.")


def test_no_records_are_no_decoded_images() -> None:
    assert answers(ImageDecodes(), text_records()) == {"decoded": [], "drop": [], "error": []}
