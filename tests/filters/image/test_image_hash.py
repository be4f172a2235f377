"""Perceptual hashes: those of copies are near, those of different images far."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from filters.image.image_decodes import ImageDecodes
from filters.image.image_hash import ImageHash
from filters.image.perceptual.phash import SIDE, hashes
from manifests.media import FIX_MISSING_FILE, Limits, Media
from tests.filters.image.hashing import (
    FAR,
    NEAR,
    TURNED,
    ListedMedia,
    apart,
    drawing,
    encoded,
    hashed,
    stored,
)
from tests.filters.rows import answers, media_records, text_records
from tests.make import make_image


def by_definition(luma: np.ndarray) -> int:
    """The hash by the textbook formula of the DCT-II."""
    places = 2 * np.arange(SIDE) + 1
    block = [
        (luma * np.outer(np.cos(np.pi * u * places / 64), np.cos(np.pi * v * places / 64))).sum()
        for u in range(1, 9)
        for v in range(1, 9)
    ]
    return int("".join("1" if one > np.median(block) else "0" for one in block), 2)


def lumas(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE), np.uint8)


def test_the_bits_of_a_hash_are_the_low_frequencies_above_their_median() -> None:
    some = lumas(50)
    found, mirrored = hashes(some)
    assert found.to_pylist() == [by_definition(one) for one in some]
    assert mirrored.to_pylist() == [by_definition(one[:, ::-1]) for one in some]


def test_a_mirror_is_the_hash_of_the_mirrored_image_to_the_bit() -> None:
    some = lumas(50)
    found, mirrored = hashes(some)
    assert hashes(some[:, :, ::-1]) == (mirrored, found)


def test_a_hash_is_the_same_in_any_batch() -> None:
    some = lumas(70)
    found, _ = hashes(some)
    assert [hashes(some[n : n + 1])[0][0].as_py() for n in range(70)] == found.to_pylist()
    files = [encoded(drawing(n)) for n in range(5)]
    assert [hashed(file)[0] for file in files] == [[one] for one in hashed(*files)[0]]


def test_hashes_are_in_the_order_of_the_media_and_null_for_a_video(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}.jpg").write_bytes(encoded(drawing(n)))
    shown = [{"kind": "image", "uri": f"{n}.jpg"} for n in range(3)]
    video = {"kind": "video", "uri": "nowhere.mp4"}
    batch = media_records([shown[0], video, shown[1]], [], [video], [shown[2]])
    answer = answers(ImageHash(), batch, Media(str(tmp_path), side=SIDE))
    (a, b, c), mirrors = hashed(*(encoded(drawing(n)) for n in range(3)))
    assert answer["hash"] == [[a, None, b], [], [None], [c]]
    assert answer["mirror"] == [[mirrors[0], None, mirrors[1]], [], [None], [mirrors[2]]]
    assert (answer["drop"], answer["error"]) == ([None] * 4, [None] * 4)
    for start in range(5):
        part = {name: column[start:] for name, column in answer.items()}
        assert answers(ImageHash(), batch[start:], Media(str(tmp_path), side=SIDE)) == part
    joined = answers(
        ImageHash(), pa.concat_tables([batch[2:], batch[:2]]), Media(str(tmp_path), side=SIDE)
    )
    assert joined == {name: column[2:] + column[:2] for name, column in answer.items()}


def gradient(across: bool) -> Image.Image:
    ramp = np.linspace(0, 255, 256).astype(np.uint8)
    return Image.fromarray(np.tile(ramp, (256, 1)) if across else np.tile(ramp[:, None], (1, 256)))


def faint(levels: int) -> Image.Image:
    noise = np.random.default_rng(1).integers(-levels, levels + 1, (32, 32))
    whole = Image.fromarray((128 + noise).astype(np.uint8))
    return whole.resize((320, 320), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "blank",
    [
        Image.new("RGB", (300, 200)),
        Image.new("RGB", (300, 200), "white"),
        Image.new("RGB", (1, 1), "red"),
        Image.new("RGBA", (64, 64)),
        gradient(across=True),
        gradient(across=False),
        faint(1),
    ],
    ids=["black", "white", "pixel", "clear", "ramp", "slope", "faint"],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_without_detail_has_no_hash(blank: Image.Image, kind: str) -> None:
    assert hashed(encoded(blank if kind == "PNG" else blank.convert("RGB"), kind)) == (
        [None],
        [None],
    )


def test_an_image_with_little_detail_has_a_hash() -> None:
    assert None not in hashed(encoded(faint(30)), encoded(faint(30), "PNG"))[0]


def copies(image: Image.Image) -> dict[str, bytes]:
    width, height = image.size
    inner = (width // 100, height // 100, width - width // 100, height - height // 100)
    half = image.resize((width // 2, height // 2), Image.Resampling.LANCZOS)
    return {
        "PNG": encoded(image, "PNG"),
        "quality 30": encoded(image, quality=30),
        "progressive": encoded(image, quality=80, progressive=True),
        "half size": encoded(half, quality=85),
        "WebP": encoded(image, "WEBP", quality=70),
        "brighter": encoded(image.point(lambda level: min(255, int(level * 1.1))), quality=90),
        "gray": encoded(image.convert("L"), quality=85),
        "crop of 2 %": encoded(image.crop(inner), quality=90),
    }


def test_copies_are_near_and_different_images_far() -> None:
    originals = [drawing(seed) for seed in range(12)]
    found, _ = hashed(*(encoded(image, quality=92) for image in originals))
    for number, image in enumerate(originals):
        edits = copies(image)
        for edit, hash_ in zip(edits, hashed(*edits.values())[0], strict=True):
            assert apart(found[number], hash_) <= NEAR, edit
    assert min(apart(a, b) for a in found for b in found if a is not b) >= FAR


def test_a_mirrored_copy_has_the_mirror_as_its_hash() -> None:
    for seed in range(8):
        image = drawing(seed)
        (one, turned), (mirror, back) = hashed(
            encoded(image), encoded(ImageOps.mirror(image), quality=60)
        )
        assert apart(mirror, turned) <= 4
        assert apart(one, back) <= 4
        assert apart(one, turned) >= FAR


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("size", [(400, 300), (120, 90)])
def test_an_image_is_hashed_as_it_is_shown(kind: str, size: tuple[int, int]) -> None:
    image = drawing(7, *size)
    found, mirrors = hashed(*(stored(image, number, kind) for number in TURNED))
    for hash_, mirror in zip(found, mirrors, strict=True):
        assert apart(found[0], hash_) <= 4
        assert apart(mirrors[0], mirror) <= 4


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_transparent_image_is_hashed_as_it_is_shown(kind: str) -> None:
    image = drawing(7)
    image.putalpha(200)
    found, _ = hashed(*(stored(image, number, kind) for number in TURNED))
    assert max(apart(found[0], hash_) for hash_ in found) <= 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_hashed_nearly_the_same_at_every_scale_a_pass_decodes(kind: str) -> None:
    for seed in range(4):
        file = encoded(drawing(seed, 640, 480), kind)
        found = [hashed(file, side=side)[0][0] for side in (SIDE, 64, 128, 256, None)]
        assert max(apart(found[0], one) for one in found) <= 2


def test_an_image_that_steps_of_a_pass_share_is_decoded_once() -> None:
    batch = media_records([{"kind": "image", "uri": "0"}])
    media = ListedMedia([encoded(drawing(3))], 256)
    answers(ImageDecodes(), batch, media)
    media._files_at_hand.clear()
    assert answers(ImageHash(), batch, media)["error"] == [None]


@pytest.mark.parametrize("size", [(400, 300), (199, 193), (190, 400), (131, 97), (33, 21)])
def test_the_same_pixels_have_nearly_the_same_hash_as_jpeg_and_png(size: tuple[int, int]) -> None:
    for seed in range(5):
        file = encoded(drawing(seed, *size), quality=90)
        png = encoded(Image.open(io.BytesIO(file)), "PNG")
        (one, other), _ = hashed(file, png)
        assert apart(one, other) <= 4


def test_a_record_whose_image_cannot_be_decoded_is_an_error(tmp_path: Path) -> None:
    whole = make_image(600, 400)
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.jpg").write_bytes(b"")
    (tmp_path / "page.jpg").write_bytes(b"<html>not found</html>")
    names = [
        ["whole.jpg"],
        ["whole.jpg", "cut.jpg", "page.jpg"],
        [],
        ["none.jpg"],
        ["page.jpg", "cut.jpg"],
        ["gone.jpg"],
    ]
    batch = media_records(*([{"kind": "image", "uri": uri} for uri in uris] for uris in names))
    media = Media(str(tmp_path), side=SIDE)
    answer, decodes = answers(ImageHash(), batch, media), answers(ImageDecodes(), batch, media)
    assert answer["error"] == decodes["error"]
    assert answer["error"][1].startswith(
        "cut.jpg: the image cannot be decoded: OSError: image file is truncated"
    )
    assert answer["error"][5] == f"gone.jpg: there is no such file. {FIX_MISSING_FILE}"
    ((known,),) = answer["hash"][:1]
    assert known is not None
    assert answer["hash"] == [[known], None, [], None, None, None]


def test_a_jpeg_that_ends_early_is_an_error() -> None:
    for way in ({}, {"progressive": True}, {"restart_marker_rows": 1}):
        file = encoded(drawing(2), **way)
        files = [file[: len(file) * part // 20] for part in range(1, 20)]
        batch = media_records(*([{"kind": "image", "uri": str(n)}] for n in range(len(files))))
        answer = answers(ImageHash(), batch, ListedMedia(files))
        assert None not in answer["error"]
        assert answer["hash"] == [None] * len(files)


def test_an_image_over_a_limit_is_the_same_error_as_of_image_decodes(tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(make_image(600, 400))
    batch = media_records([{"kind": "image", "uri": "large.jpg"}])
    for limits in (Limits(max_pixels=1000), Limits(max_bytes=1000)):
        media = Media(str(tmp_path), limits=limits, side=SIDE)
        answer = answers(ImageHash(), batch, media)
        assert answer["error"] == answers(ImageDecodes(), batch, media)["error"]
        assert "is over the limit of 1000." in answer["error"][0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_copy_with_plain_borders_is_near(kind: str) -> None:
    for seed in range(4):
        image = drawing(seed)
        width, height = image.size
        copies = {
            "letterboxed": ImageOps.expand(image, (0, height // 8), "black"),
            "framed": ImageOps.expand(image, width // 20, "white"),
            "padded to a square": ImageOps.pad(image, (448, 448), color="#727272"),
        }
        files = [encoded(copy, kind) for copy in (image, *copies.values())]
        known, *others = hashed(*files)[0]
        for name, other in zip(copies, others, strict=True):
            assert apart(known, other) <= NEAR, name


def test_an_image_that_is_all_plain_has_no_hash() -> None:
    plain = Image.new("RGB", (200, 100), "white")
    boxed = ImageOps.expand(Image.new("RGB", (200, 100), "#303030"), 20, "white")
    for image in (plain, ImageOps.expand(plain, 30, "black"), boxed):
        (known,), (mirror,) = hashed(encoded(image, "PNG"))
        assert known is None
        assert mirror is None


def test_no_records_have_no_hashes() -> None:
    assert answers(ImageHash(), text_records()) == {
        "hash": [],
        "mirror": [],
        "colours": [],
        "drop": [],
        "error": [],
    }
