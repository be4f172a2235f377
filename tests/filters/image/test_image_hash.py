"""Perceptual hashes: those of copies are near, those of different images far."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from filters.image.image_decodes import ImageDecodes
from filters.image.image_hash import ImageHash
from filters.image.perceptual import small_image as small_images
from filters.image.perceptual.phash import SIDE, hashes
from filters.image.perceptual.small_image import small_image
from manifests.geometry.exif_orientation import pixels_as_shown
from manifests.media import FIX_MISSING_FILE, Decoded, Limits, Media, Reference
from tests.filters.rows import answers, media_records, text_records
from tests.make import make_image

NEAR, FAR = 6, 14


def drawing(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """Smooth random colours, with detail at several sizes."""
    draw = np.random.default_rng(seed)
    whole = np.zeros((height, width, 3))
    for cells in (3, 6, 12):
        coarse = Image.fromarray(draw.integers(0, 256, (cells, cells, 3), np.uint8))
        whole += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / cells
    return Image.fromarray((255 * whole / whole.max()).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **way: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **way)
    return out.getvalue()


class ListedMedia(Media):
    """Media whose bytes are in a list; a uri is the number in it."""

    def __init__(self, files: list[bytes], side: int | None = SIDE) -> None:
        super().__init__(side=side)
        self._files_at_hand = files

    def read(self, ref: Any) -> bytes:
        return self._files_at_hand[int(ref.uri)]


def hashed(*files: bytes, side: int | None = SIDE) -> tuple[list[int | None], list[int | None]]:
    """The hashes of files, and of their mirror images; no file may be an error."""
    batch = media_records(*([{"kind": "image", "uri": str(n)}] for n in range(len(files))))
    answer = answers(ImageHash(), batch, ListedMedia(list(files), side))
    assert answer["error"] == [None] * len(files)
    return [one for (one,) in answer["hash"]], [one for (one,) in answer["mirror"]]


def apart(one: int | None, other: int | None) -> int:
    assert one is not None
    assert other is not None
    return (one ^ other).bit_count()


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


TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an image is stored so that each orientation shows it upright."""


def stored(image: Image.Image, number: int, kind: str, **way: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    turn = TURNED[number]
    return encoded(image.transpose(turn) if turn is not None else image, kind, exif=exif, **way)


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


def test_pixels_are_turned_upright_as_pillow_turns_them() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for number in TURNED:
        image = Image.fromarray(pixels)
        image.info["exif"] = Image.open(io.BytesIO(stored(image, number, "JPEG"))).info["exif"]
        shown = np.asarray(ImageOps.exif_transpose(image))
        assert pixels_as_shown(pixels, number).tolist() == shown.tolist()


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


def luma_of(file: bytes, side: int) -> np.ndarray:
    return small_image(ListedMedia([file], side).decoded(Reference("0")), side).luma


def test_luma_has_the_side_that_is_asked_for() -> None:
    image, gray = drawing(1, 300, 400), drawing(1, 300, 400).convert("L")
    for side in (8, 16, 48):
        expected = np.asarray(gray.resize((side, side), Image.Resampling.BILINEAR)).astype(int)
        for file in (encoded(image), encoded(image, "PNG"), encoded(gray)):
            pixels = luma_of(file, side)
            assert pixels.shape == (side, side)
            assert np.abs(pixels.astype(int) - expected).mean() < 2


def test_a_jpeg_reduced_to_no_whole_pixels_is_not_stretched() -> None:
    image = drawing(1, 257, 259)
    pixels = luma_of(encoded(image, quality=98), SIDE).astype(int)
    expected = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    assert np.abs(pixels - expected).mean() < 1


def test_an_image_in_several_pieces_of_memory_has_the_same_luma() -> None:
    large = drawing(1, 2400, 1800)  # Pillow stores more than 16 MB in pieces
    decoded = Decoded(large, large.size, 1)
    expected = np.asarray(large.reduce((50, 37)).convert("L").resize((SIDE, SIDE))).astype(int)
    assert np.abs(small_image(decoded, SIDE).luma.astype(int) - expected).mean() < 2


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


def real(*files: Path) -> tuple[list[int | None], list[int | None]]:
    return hashed(*(file.read_bytes() for file in files))


def test_the_same_photo_in_all_eight_orientations_is_one_image(real_data: Path) -> None:
    folder = real_data / "neardup" / "exif_orientation"
    found, mirrors = real(*(folder / f"Landscape_{n}.jpg" for n in range(9)))
    assert max(apart(found[0], one) for one in found) <= 2
    assert max(apart(mirrors[0], one) for one in mirrors) <= 2


def test_real_copies_of_a_photo_are_near(real_data: Path) -> None:
    folder = real_data / "neardup" / "imagededup_tests"
    mixed = folder / "mixed_images"
    (one, small, gray, flip), (mirror, *_) = real(
        mixed / "ukbench00120.jpg",
        mixed / "ukbench00120_resize.jpg",
        folder / "ukbench00120_gray.jpg",
        mixed / "ukbench00120_hflip.jpg",
    )
    assert (apart(one, small) <= 2, apart(one, gray) <= 2, apart(mirror, flip) <= 2) == (True,) * 3
    formats = folder / "formats_images"
    found, _ = real(*(formats / f"ukbench09380.{kind}" for kind in ("jpeg", "png", "bmp", "webp")))
    assert max(apart(found[0], one) for one in found) <= 2


def test_real_edits_of_a_photo_are_near(real_data: Path) -> None:
    folder = real_data / "neardup" / "pdq_images" / "bridge-mods"
    names = ["aaa-orig", "blur-a-little", "blur-a-lot", "high-contrast", "high-saturation",
             "sharpen-a-little", "sharpen-a-lot", "shrink-a-little", "shrink-a-lot",
             "square-128x128", "square-256x256", "square-512x512"]  # fmt: skip
    found, _ = real(*(folder / f"{name}.jpg" for name in names))
    assert max(apart(found[0], one) for one in found) <= NEAR


def test_a_real_photo_mirrored_is_near_its_mirror(real_data: Path) -> None:
    folder = real_data / "neardup" / "pdq_images" / "reg-test-input" / "dih"
    (one, flipped), (mirror, _) = real(
        folder / "bridge-1-original.jpg", folder / "bridge-6-flipy.jpg"
    )
    assert (apart(mirror, flipped) <= 2, apart(one, flipped) >= FAR) == (True, True)


EMPTY_SKY = "q0003.jpg"


def test_a_photo_of_the_empty_sky_has_no_hash(real_data: Path) -> None:
    folder = real_data / "neardup" / "pdq_images" / "reg-test-input" / "labelme-subset"
    assert real(folder / EMPTY_SKY) == ([None], [None])


def test_real_photos_of_different_subjects_are_far(real_data: Path) -> None:
    neardup = real_data / "neardup"
    base = sorted((neardup / "imagededup_tests" / "base_images").glob("*.jpg"))
    others = sorted((neardup / "pdq_images" / "reg-test-input" / "labelme-subset").glob("*.jpg"))
    found, mirrors = real(*base, *(photo for photo in others if photo.name != EMPTY_SKY))
    distances = [
        min(apart(found[i], found[j]), apart(found[i], mirrors[j]))
        for i in range(len(found))
        for j in range(i)
    ]
    assert min(distances) >= FAR


@pytest.mark.parametrize(("width", "height"), [(700, 500), (333, 1000), (999, 301)])
def test_a_large_image_is_reduced_in_strips_as_it_is_in_one_piece(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    decoded = Decoded(Image.fromarray(noise), (width, height), 1)
    whole = small_image(decoded, 32)
    monkeypatch.setattr(small_images, "_COPIED_PIXELS", 5000)
    strips = small_image(decoded, 32)
    assert (strips.luma == whole.luma).all()
    assert (strips.colours == whole.colours).all()
