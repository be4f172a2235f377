"""Perceptual hashes of real photos, of their copies and edits, and of hostile images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from filters.image.image_decodes import ImageDecodes
from filters.image.image_hash import ImageHash
from filters.image.perceptual.phash import SIDE
from manifests.media import Limits, Media
from tests.filters.image.hashing import FAR, NEAR, apart, hashed
from tests.filters.rows import answers, media_records


def without_addresses(answer: dict[str, list[Any]]) -> list[str | None]:
    """The errors, without the addresses in memory that Pillow prints."""
    return [error and re.sub(r" at 0x\w+", "", error) for error in answer["error"]]


@pytest.mark.filterwarnings("ignore")  # of broken images
def test_hostile_images_are_errors_where_they_cannot_be_decoded(real_data: Path) -> None:
    files = [p for p in sorted((real_data / "hostile").rglob("*.*")) if p.stat().st_size < 1 << 20]
    images = [str(p) for p in files if p.suffix.lower() in (".jpg", ".jpeg", ".webp", ".png")]
    batch = media_records(*([{"kind": "image", "uri": uri}] for uri in images))
    limits = Limits(max_pixels=4_000_000)
    answer = answers(ImageHash(), batch, Media(limits=limits, side=SIDE))
    decodes = answers(ImageDecodes(), batch, Media(limits=limits, side=SIDE))
    assert len(images) > 100
    assert without_addresses(answer) == without_addresses(decodes)


def of_files(*files: Path) -> tuple[list[int | None], list[int | None]]:
    return hashed(*(file.read_bytes() for file in files))


def test_the_same_photo_in_all_eight_orientations_is_one_image(real_data: Path) -> None:
    folder = real_data / "neardup" / "exif_orientation"
    found, mirrors = of_files(*(folder / f"Landscape_{n}.jpg" for n in range(9)))
    assert max(apart(found[0], one) for one in found) <= 2
    assert max(apart(mirrors[0], one) for one in mirrors) <= 2


def test_real_copies_of_a_photo_are_near(real_data: Path) -> None:
    folder = real_data / "neardup" / "imagededup_tests"
    mixed = folder / "mixed_images"
    (one, small, gray, flip), (mirror, *_) = of_files(
        mixed / "ukbench00120.jpg",
        mixed / "ukbench00120_resize.jpg",
        folder / "ukbench00120_gray.jpg",
        mixed / "ukbench00120_hflip.jpg",
    )
    assert (apart(one, small) <= 2, apart(one, gray) <= 2, apart(mirror, flip) <= 2) == (True,) * 3
    formats = folder / "formats_images"
    found, _ = of_files(
        *(formats / f"ukbench09380.{kind}" for kind in ("jpeg", "png", "bmp", "webp"))
    )
    assert max(apart(found[0], one) for one in found) <= 2


def test_real_edits_of_a_photo_are_near(real_data: Path) -> None:
    folder = real_data / "neardup" / "pdq_images" / "bridge-mods"
    names = ["aaa-orig", "blur-a-little", "blur-a-lot", "high-contrast", "high-saturation",
             "sharpen-a-little", "sharpen-a-lot", "shrink-a-little", "shrink-a-lot",
             "square-128x128", "square-256x256", "square-512x512"]  # fmt: skip
    found, _ = of_files(*(folder / f"{name}.jpg" for name in names))
    assert max(apart(found[0], one) for one in found) <= NEAR


def test_a_real_photo_mirrored_is_near_its_mirror(real_data: Path) -> None:
    folder = real_data / "neardup" / "pdq_images" / "reg-test-input" / "dih"
    (one, flipped), (mirror, _) = of_files(
        folder / "bridge-1-original.jpg", folder / "bridge-6-flipy.jpg"
    )
    assert (apart(mirror, flipped) <= 2, apart(one, flipped) >= FAR) == (True, True)


EMPTY_SKY = "q0003.jpg"


def test_a_photo_of_the_empty_sky_has_no_hash(real_data: Path) -> None:
    folder = real_data / "neardup" / "pdq_images" / "reg-test-input" / "labelme-subset"
    assert of_files(folder / EMPTY_SKY) == ([None], [None])


def test_real_photos_of_different_subjects_are_far(real_data: Path) -> None:
    neardup = real_data / "neardup"
    base = sorted((neardup / "imagededup_tests" / "base_images").glob("*.jpg"))
    others = sorted((neardup / "pdq_images" / "reg-test-input" / "labelme-subset").glob("*.jpg"))
    found, mirrors = of_files(*base, *(photo for photo in others if photo.name != EMPTY_SKY))
    distances = [
        min(apart(found[i], found[j]), apart(found[i], mirrors[j]))
        for i in range(len(found))
        for j in range(i)
    ]
    assert min(distances) >= FAR
