"""The block means of a JPEG are libjpeg's luma at 1/8 of the size; what Pillow refuses has none."""

from __future__ import annotations

import io
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from filters.image.luma.jpeg_scans import jpeg_scans
from manifests.kernels.jpeg_huffman import SEEN_BITS
from manifests.kernels.jpeg_means import luma_means
from tests.filters.image.test_jpeg_scans import ADOBE, PHOTOSHOP, joined, resolution, segments

EIGHTH = 8
WAYS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"optimize": True},
    {"subsampling": 0},
    {"subsampling": 1},
    {"subsampling": 2, "progressive": True},
    {"restart_marker_blocks": 1},
    {"restart_marker_blocks": 7, "subsampling": 0},
    {"restart_marker_rows": 1},
    {"restart_marker_blocks": 5, "progressive": True},
    {"quality": 1},
    {"quality": 100, "subsampling": 0},
    {"quality": 100, "progressive": True},
]


def drawing(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Smooth colours below, noise on top: words of every length."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (5, 6, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int64)
    noise = draw.integers(-40, 41, smooth.shape) * (np.arange(width)[:, None] > width // 2)
    return Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, **way: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **way)
    return out.getvalue()


def means(*files: bytes) -> list[np.ndarray | None]:
    """Of all files at once; None for those that have no usual scans."""
    found = [(n, jpeg) for n, file in enumerate(files) if (jpeg := jpeg_scans(file))]
    said = luma_means([files[n] for n, _ in found], [jpeg for _, jpeg in found])
    lumas: list[np.ndarray | None] = [None] * len(files)
    for (n, _), luma in zip(found, said, strict=True):
        lumas[n] = luma
    return lumas


def pillow(data: bytes) -> np.ndarray | None:
    """Luma at 1/8 of the size; None where Pillow cannot decode."""
    try:
        with warnings.catch_warnings(action="ignore"):
            image = Image.open(io.BytesIO(data), formats=["JPEG"])
            image.draft("L", (max(1, image.width // EIGHTH), max(1, image.height // EIGHTH)))
            image.load()
    except Exception:  # whatever broken bytes provoke
        return None
    return np.asarray(image)


def opens(data: bytes) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            Image.open(io.BytesIO(data), formats=["JPEG"]).convert("RGB")
    except Exception:  # whatever broken bytes provoke
        return False
    return True


def assert_same(files: list[bytes]) -> None:
    for file, luma in zip(files, means(*files), strict=True):
        assert luma is not None
        assert (luma.dtype, luma.tolist()) == (np.uint8, pillow(file).tolist())  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_means_are_libjpeg_s_luma_to_the_bit(way: dict[str, Any], mode: str) -> None:
    sizes = [(8, 8), (9, 15), (16, 16), (17, 33), (64, 8), (150, 101), (333, 250)]
    assert_same([encoded(drawing(*size, mode, n), **way) for n, size in enumerate(sizes)])


def test_means_of_real_images_are_libjpeg_s_to_the_bit(real_data: Path) -> None:
    files = [path.read_bytes() for path in sorted(real_data.rglob("*.jp*g"))]
    said = means(*files)
    large = [n for n, luma in enumerate(said) if luma is not None and min(luma.shape) > 1]
    assert len(large) > len(files) * 0.8
    for n in large:
        assert said[n].tolist() == pillow(files[n]).tolist()  # type: ignore[union-attr]


def test_words_longer_than_a_look_up_sees_are_read() -> None:
    """Means whose differences take 0 to 11 bits, as often as makes their Huffman words longest."""
    often = [144, 89, 55, 34, 21, 13, 8, 5, 3, 2, 1, 1]
    sizes = [bits for bits, times in enumerate(often) for _ in range(times)]
    random.Random(1).shuffle(sizes)
    blocks, mean = [], 0
    for size in sizes:
        least = 1 << size >> 1
        mean += least if mean + least <= 1000 else -least
        level, rest = divmod(np.clip(mean, -1016, 1008) + 1024, 8)
        block = np.full(64, level)
        block[: 8 * rest] += 1
        blocks.append(block.reshape(8, 8))
    pixels = np.concatenate(blocks, axis=1).astype(np.uint8)
    file = encoded(Image.fromarray(pixels), quality=100, optimize=True)
    jpeg = jpeg_scans(file)
    assert jpeg is not None
    dc = jpeg.scans[0].codes[0]
    assert max(bits for bits in range(1, 17) if dc[bits]) > SEEN_BITS
    assert_same([file])


def planes_apart(image: Image.Image, **way: Any) -> bytes:
    """A progressive JPEG whose layers never share a scan, from one JPEG of each layer."""
    layers = [encoded(plane, progressive=True, quality=90) for plane in image.split()]
    whole = encoded(image, progressive=True, quality=90, **way)
    frame = whole.index(b"\xff\xc2")
    start = whole[: frame + 2 + int.from_bytes(whole[frame + 2 : frame + 4], "big")]
    scans = b""
    for name, layer in enumerate(layers, 1):
        after = layer.index(b"\xff\xc2") + 2 + 11
        scans += layer[after:-2].replace(b"\xff\xda\0\x08\x01\x01", b"\xff\xda\0\x08\x01%c" % name)
    return start + scans + b"\xff\xd9"


def test_layers_whose_scans_are_apart_are_read() -> None:
    ycc = drawing(150, 101).convert("YCbCr")
    file = planes_apart(ycc, subsampling=0)
    jpeg = jpeg_scans(file)
    assert jpeg is not None
    assert [scan.blocks for scan in jpeg.scans] == [1, 1]
    assert_same([file])


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_truncated_image_has_no_means_wherever_it_ends(way: dict[str, Any]) -> None:
    file = encoded(drawing(70, 50), **way)
    cuts = [file[:end] for end in range(len(file))]
    assert means(*cuts) == [None] * len(cuts)


def without(file: bytes, start: int, stop: int) -> bytes:
    return file[:start] + file[stop:]


@pytest.mark.parametrize("way", [{}, {"restart_marker_blocks": 3}, {"progressive": True}], ids=str)
def test_data_that_is_too_short_or_too_long_has_no_means(way: dict[str, Any]) -> None:
    file = encoded(drawing(70, 50, "L"), **way)
    jpeg = jpeg_scans(file)
    assert jpeg is not None
    for scan in jpeg.scans:
        end = len(file) - 2 if jpeg.alone else scan.end
        assert file[end] == 0xFF
        for size in (1, 2, 3, 9):
            assert means(without(file, end - size, end)) == [None]
            assert means(file[:end] + b"\x55" * size + file[end:]) == [None]


def test_restarts_that_are_out_of_order_or_missing_have_no_means() -> None:
    file = encoded(drawing(70, 50), restart_marker_blocks=3)
    at = file.index(b"\xff\xd1")
    assert means(file)[0] is not None
    for marker in (b"\xff\xd0", b"\xff\xd2", b"", b"\xff\xd1\xff\xd2"):
        assert means(file[:at] + marker + file[at + 2 :]) == [None]


def mutated(draw: random.Random, file: bytes) -> bytes:
    data = bytearray(file)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(data) if draw.random() < 0.5 else 600)
        kind = draw.randrange(4)
        if kind == 0:
            data[at:at] = draw.choice((b"\xff\xd9", b"\xff\xd0", b"\0", b"\xff", b"\x11\x22"))
        elif kind == 1:
            del data[at : at + draw.choice((1, 2, 20))]
        else:
            data[at : at + 1] = bytes([draw.choice((0, 255, draw.randrange(256)))])
    return bytes(data)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_has_means_though_damaged_is_what_pillow_opens(way: dict[str, Any]) -> None:
    draw = random.Random(str(way))
    file = encoded(drawing(70, 50), **way)
    files = [mutated(draw, file) for _ in range(1500)]
    for broken, luma in zip(files, means(*files), strict=True):
        jpeg = jpeg_scans(broken)
        if luma is not None and jpeg is not None and jpeg.width * jpeg.height < 1 << 20:
            assert opens(broken)
            if jpeg.alone and min(jpeg.width, jpeg.height) >= EIGHTH:
                assert luma.tolist() == pillow(broken).tolist()  # type: ignore[union-attr]


STRANGE = [
    *[(0xE1, resolution(order, kind)) for order in "<>" for kind in (1, 2, 3, 5, 7, 11)],
    *[(0xED, PHOTOSHOP + PHOTOSHOP[14:end]) for end in range(14, len(PHOTOSHOP))],
    *[(0xDA, b"\0\0\0" + bits) for bits in (b"\0", b"\1", b"\x21")],
    *[(0xE0, b"JFIF\0\1\1\1\0\x48\0\x48\0\0"[:end]) for end in range(4, 15, 2)],
    *[(0xE2, b"ICC_PROFILE\0\1\1"[:end]) for end in (12, 13, 14)],
    *[(0xDB, number + b"\1" * 64) for number in (b"\0", b"\2", b"\4")],
    *[
        (0xC4, number + bytes([0] * 15 + [1]) + b"\1")
        for number in (b"\0", b"\1", b"\x10", b"\x11")
    ],
    *[(marker, b"") for marker in (0x01, 0xC8, 0xCC, 0xDD, 0xEB, 0xF0, 0xFE)],
    *[(0xEE, ADOBE[:end] + b"\1") for end in (5, 6, 11)],
    *[(0xDD, run) for run in (b"\0\0", b"\0\3", b"\xff\xff")],
]


def muddled(draw: random.Random, file: bytes) -> bytes:
    """With segments that are moved, repeated or changed, or strange ones between them."""
    parts = segments(file)
    for _ in range(draw.choice((1, 1, 2))):
        at, to, kind = draw.randrange(len(parts)), draw.randrange(len(parts)), draw.randrange(5)
        marker, body = parts[at]
        if kind == 0:
            parts.insert(to, parts[at])
        elif kind == 1:
            parts.insert(to, parts.pop(at))
        elif kind == 2 and body:
            place = draw.randrange(min(len(body), 20))
            parts[at] = marker, body[:place] + draw.randbytes(1) + body[place + 1 :]
        else:
            parts.insert(to, draw.choice(STRANGE))
    return joined(parts)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_has_means_though_muddled_is_what_pillow_opens(way: dict[str, Any]) -> None:
    draw = random.Random(str(way))
    file = encoded(drawing(70, 50), **way)
    files = [muddled(draw, file) for _ in range(400)]
    for broken, luma in zip(files, means(*files), strict=True):
        assert luma is None or opens(broken)


def test_hostile_images_have_means_only_if_pillow_opens_them(real_data: Path) -> None:
    files = [path.read_bytes() for path in sorted((real_data / "hostile").rglob("*.jp*g"))]
    said = means(*files)
    assert all(opens(file) for file, luma in zip(files, said, strict=True) if luma is not None)


def test_several_images_at_once_are_as_each_alone() -> None:
    files = [
        encoded(drawing(30 + 20 * n, 200 - 10 * n, "L" if n % 2 else "RGB", n), **way)
        for n, way in enumerate(WAYS)
    ]
    files[4] = files[4][: len(files[4]) // 2] + b"\xff\xd9"
    files.insert(2, b"no image")
    for luma, file in zip(means(*files), files, strict=True):
        (alone,) = means(file)
        assert (luma is None) == (alone is None)
        assert luma is None or np.array_equal(luma, alone)  # type: ignore[arg-type]
    assert luma_means([], []) == []


@pytest.mark.parametrize(
    "file",
    [
        encoded(drawing(64, 64), keep_rgb=True),
        encoded(drawing(64, 64, "CMYK")),
        encoded(drawing(64, 64)).replace(b"\xff\xc0", b"\xff\xc9", 1),  # arithmetic codes
        encoded(drawing(64, 64)).replace(b"\xff\xd9", b"\xff\xff\xd9"),  # a filled up marker
        encoded(drawing(64, 64))[:-2],
        b"",
        b"\xff\xd8",
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=["RGB", "CMYK", "arithmetic", "filled", "endless", "empty", "bare", "PNG"],
)
def test_what_is_no_usual_jpeg_is_left_to_a_whole_decoder(file: bytes) -> None:
    assert means(file) == [None]


def test_exif_is_handed_on_whole() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = jpeg_scans(encoded(drawing(32, 32), exif=exif))
    assert jpeg is not None
    assert (jpeg.width, jpeg.height, jpeg.exif) == (32, 32, exif.tobytes())
