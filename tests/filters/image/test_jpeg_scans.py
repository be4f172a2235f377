"""What of a JPEG's markers is usual; whatever is not is left to a whole decoder."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from filters.image.luma.jpeg_scans import AC, DC, Jpeg, jpeg_scans

EXIF = b"Exif\0\0" + b"whatever"


def encoded(mode: str = "RGB", **way: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 72, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "JPEG", **way)
    return out.getvalue()


def segments(file: bytes) -> list[tuple[int, bytes]]:
    """Markers and what is in their segments, the data of a scan with the marker before it."""
    found, at = [], 2
    while file[at + 1] != 0xD9:
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big")
        if file[at + 1] == 0xDA:
            while file[end] != 0xFF or file[end + 1] in (0, *range(0xD0, 0xD8)):
                end += 1
        found.append((file[at + 1], file[at + 4 : end]))
        at = end
    return found


def joined(parts: list[tuple[int, bytes]]) -> bytes:
    out = b"\xff\xd8"
    for marker, body in parts:
        size = 6 + 2 * body[0] if marker == 0xDA else len(body) + 2
        out += bytes([0xFF, marker]) + size.to_bytes(2, "big") + body
    return out + b"\xff\xd9"


def usual(parts: list[tuple[int, bytes]]) -> Jpeg | None:
    return jpeg_scans(joined(parts))


PARTS, GRAY = segments(encoded()), segments(encoded("L"))
PROGRESSIVE = segments(encoded(progressive=True))
APP, QUANTA, FRAME, CODES, SCAN, RESTART = 0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xDD


def edited(
    parts: list[tuple[int, bytes]], marker: int, edit: Callable[[bytes], bytes], which: int = 0
) -> list[tuple[int, bytes]]:
    """With one segment of a kind changed."""
    at = [n for n, (kind, _) in enumerate(parts) if kind == marker][which]
    return [*parts[:at], (marker, edit(parts[at][1])), *parts[at + 1 :]]


def put(at: int, *values: int) -> Callable[[bytes], bytes]:
    return lambda body: body[:at] + bytes(values) + body[at + len(values) :]


def test_a_usual_jpeg_tells_its_one_scan() -> None:
    jpeg = usual(PARTS)
    assert jpeg is not None
    assert (jpeg.width, jpeg.height, jpeg.alone, jpeg.exif) == (72, 40, True, b"")
    (scan,) = jpeg.scans
    assert (scan.across, scan.down, scan.wide, scan.high, scan.blocks) == (5, 3, 2, 2, 6)
    assert (scan.run, scan.runs, scan.bit) == (15, 1, 0)
    assert [code[0] for code in scan.codes] == [DC, AC] * 6
    assert joined(PARTS)[scan.at :] == PARTS[-1][1][10:] + b"\xff\xd9"


def test_a_progressive_jpeg_tells_the_scans_of_luma_s_means() -> None:
    jpeg = usual(PROGRESSIVE)
    assert jpeg is not None
    assert jpeg.alone is False
    assert [(s.blocks, s.bit, len(s.codes)) for s in jpeg.scans] == [(6, 1, 6), (6, 0, 0)]
    assert all(joined(PROGRESSIVE)[scan.end] == 0xFF for scan in jpeg.scans)


def test_a_gray_jpeg_has_one_block_in_an_mcu_whatever_its_size_is_said_to_be() -> None:
    for factors in (0x11, 0x22, 0x41):
        jpeg = usual(edited(GRAY, FRAME, put(7, factors)))
        assert jpeg is not None
        assert jpeg.scans[0][2:7] == (9, 5, 1, 1, 1)


def test_restarts_part_a_scan_in_runs() -> None:
    parts = [(RESTART, b"\0\4"), *PARTS]
    jpeg = usual(parts)
    assert jpeg is not None
    assert (jpeg.scans[0].run, jpeg.scans[0].runs) == (4, 4)
    none = usual([(RESTART, b"\0\0"), *PARTS])
    assert none is not None
    assert none.scans[0].runs == 1
    assert usual([(RESTART, b"\0\4\0"), *PARTS]) is None


def test_exif_in_several_segments_is_joined() -> None:
    jpeg = usual([(0xE1, EXIF), (0xE1, b"http://ns.adobe.com"), (0xE1, b"Exif\0\0more"), *PARTS])
    assert jpeg is not None
    assert jpeg.exif == EXIF + b"more"


def named(parts: list[tuple[int, bytes]], names: bytes) -> list[tuple[int, bytes]]:
    """With other names for the layers."""

    def put_names(first: int, step: int) -> Callable[[bytes], bytes]:
        def edit(body: bytes) -> bytes:
            for n, name in enumerate(names):
                body = put(first + step * n, name)(body)
            return body

        return edit

    return edited(edited(parts, FRAME, put_names(6, 3)), SCAN, put_names(1, 2))


def resolution(order: str, kind: int) -> bytes:
    """Exif with an XResolution of some type, and the unit without which it is not looked at."""
    start = b"Exif\0\0" + (b"MM\0*" if order == ">" else b"II*\0")
    entries = struct.pack(order + "HHI4s", 0x011A, kind, 1, b"1111")
    entries += struct.pack(order + "HHIHH", 0x0128, 3, 1, 2, 0)
    return start + struct.pack(order + "IH", 8, 2) + entries + bytes(4)


PHOTOSHOP = b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\2ab"
ADOBE = b"Adobe\0\x64\0\0\0\0"
LONG_CODE = bytes([0] * 15 + [1]) + b"\0"


@pytest.mark.parametrize(
    "parts",
    [
        [(0xEE, ADOBE + b"\1"), *PARTS],
        [(0xE2, b"ICC_PROFILE\0\1\1"), *PARTS],
        [(0xED, PHOTOSHOP), *PARTS],
        [(0xE1, resolution(">", 5)), *PARTS],
        [(0xE1, resolution("<", 3)), *PARTS],
        [(0xFE, b"a comment"), *PARTS],
        [(CODES, b"\3" + LONG_CODE), *PARTS],
        edited(PARTS, FRAME, put(0, 8)),
        named(PARTS, b"YUV"),
        [(0xC1 if kind == FRAME else kind, body) for kind, body in PARTS],
    ],
    ids=[
        *("Adobe", "ICC", "Photoshop", "Exif, ratio", "Exif, number", "comment", "more codes"),
        *("same", "YUV", "extended"),
    ],
)
def test_other_segments_do_no_harm(parts: list[tuple[int, bytes]]) -> None:
    assert usual(parts) is not None


@pytest.mark.parametrize(
    "parts",
    [
        [(0xEE, ADOBE + b"\0"), *PARTS],
        [(0xEE, ADOBE), *PARTS],
        [(0xE2, b"MPF\0"), *PARTS],
        [(0xE2, b"ICC_PROFILE\0\1"), *PARTS],
        [(APP, b"JFIF\0\1"), *PARTS],
        [(0xED, PHOTOSHOP + b"8BIM\4\4"), *PARTS],
        *[[(0xE1, resolution(order, kind)), *PARTS] for order in "<>" for kind in (1, 2, 7)],
        [(0xF0, b""), *PARTS],
        [(0xC9 if kind == FRAME else kind, body) for kind, body in PARTS],
        named(PARTS, b"RGB"),
        edited(PARTS, FRAME, put(0, 12)),
        edited(PARTS, FRAME, put(1, 0, 0)),
        edited(PARTS, FRAME, put(3, 255, 255)),
        edited(PARTS, FRAME, put(7, 0x21, 0, 2, 0x31)),
        edited(PARTS, FRAME, put(7, 0x31, 0, 2, 0x21)),
        edited(PARTS, FRAME, put(7, 0x12, 0, 2, 0x21)),
        edited(PARTS, FRAME, put(7, 0x44)),
        edited(PARTS, FRAME, put(7, 0x81)),
        edited(PARTS, FRAME, put(9, 1)),
        edited(PARTS, FRAME, put(11, 3)),
        edited(PARTS, FRAME, lambda body: body + b"\0"),
        [*PARTS[:-1], *[part for part in PARTS if part[0] == FRAME], PARTS[-1]],
        [part for part in PARTS if part[0] != FRAME],
        edited(PARTS, QUANTA, put(0, 0x20)),
        [(QUANTA, b"\4" + b"\1" * 64), *PARTS],
        edited(PARTS, QUANTA, put(1, 0)),
        edited(PARTS, QUANTA, lambda body: body[:-1]),
        [*[part for part in PARTS if part[0] == QUANTA], *PARTS],
        [part for part in PARTS if part[0] != QUANTA],
        edited(PARTS, CODES, put(1, 2)),
        [(CODES, b"\3" + bytes([3] + [0] * 15) + b"\0\1\2"), *PARTS],
        [(CODES, b"\3" + bytes([2] + [0] * 15) + b"\0\1"), *PARTS],
        [(CODES, b"\x23" + LONG_CODE), *PARTS],
        [(CODES, b"\4" + LONG_CODE), *PARTS],
        edited(PARTS, CODES, put(17, 16)),
        edited(PARTS, CODES, lambda body: body[:-1]),
        [(CODES, b"\2" + bytes([0] * 7 + [200, 100] + [0] * 7) + bytes(300)), *PARTS],
        [part for part in PARTS if part[0] != CODES],
        edited(PARTS, SCAN, put(1, 9)),
        edited(PARTS, SCAN, put(3, 1)),
        edited(PARTS, SCAN, put(1, 2, 0x11, 1, 0)),
        edited(PARTS, SCAN, put(2, 0x22)),
        edited(PARTS, SCAN, put(7, 1)),
        edited(PARTS, SCAN, put(8, 62)),
        edited(PARTS, SCAN, put(9, 1)),
        edited(PARTS, SCAN, lambda body: b"\1\1\0\0\x3f\0" + body[10:]),
    ],
)
def test_what_is_not_usual_tells_no_scans(parts: list[tuple[int, bytes]]) -> None:
    assert usual(PARTS) is not None
    assert usual(parts) is None


def scans(parts: list[tuple[int, bytes]]) -> list[int]:
    return [n for n, (marker, _) in enumerate(parts) if marker == SCAN]


def test_a_progressive_jpeg_without_its_last_bits_tells_no_scans() -> None:
    for last in scans(PROGRESSIVE)[1:]:
        assert usual(PROGRESSIVE[:last]) is None or last > scans(PROGRESSIVE)[6]
    bare = [PROGRESSIVE[n] for n in scans(PROGRESSIVE) if PROGRESSIVE[n][1][7:9] == b"\0\0"]
    assert len(bare) == 2
    start = PROGRESSIVE[: scans(PROGRESSIVE)[0]]
    assert usual(start + bare) is None
    assert usual([*start, bare[1], *PROGRESSIVE[scans(PROGRESSIVE)[0] + 1 :]]) is None


@pytest.mark.parametrize(
    ("which", "tail"),
    [
        (0, b"\0\0\x11"),
        (1, b"\1\5\x0e"),
        (0, b"\0\1\x01"),
        (1, b"\1\5\x13"),
        (1, b"\5\1\x02"),
        (1, b"\1\x40\x02"),
        (6, b"\0\0\x00"),
        (6, b"\0\0\x21"),
    ],
)
def test_a_scan_out_of_the_progression_tells_no_scans(which: int, tail: bytes) -> None:
    def edit(body: bytes) -> bytes:
        size = 1 + 2 * body[0]
        return body[:size] + tail + body[size + 3 :]

    assert usual(edited(PROGRESSIVE, SCAN, edit, which)) is None


def test_means_are_told_once() -> None:
    first = scans(PROGRESSIVE)[0]
    whole = edited(PROGRESSIVE[: scans(PROGRESSIVE)[6]], SCAN, put(9, 0))
    assert usual(whole) is not None
    assert usual([*whole[:first], whole[first], *whole[first:]]) is None


@pytest.mark.parametrize("tail", [b"\0\0\0", b"\0\0\1", b"\0\0\x21"])
def test_a_scan_of_no_layer_tells_no_scans(tail: bytes) -> None:
    for at in range(len(PROGRESSIVE) + 1):
        assert usual([*PROGRESSIVE[:at], (SCAN, b"\0" + tail), *PROGRESSIVE[at:]]) is None


def test_a_scan_has_each_layer_once_and_luma_first() -> None:
    for names in ((1, 1, 2), (2, 1, 3)):
        edit = [put(1 + 2 * n, name) for n, name in enumerate(names)]
        parts = PROGRESSIVE
        for one in edit:
            parts = edited(parts, SCAN, one)
        assert usual(parts) is None


@pytest.mark.parametrize("way", [{}, {"progressive": True}], ids=str)
def test_a_jpeg_cut_anywhere_before_its_data_tells_no_scans(way: dict[str, Any]) -> None:
    file = encoded(**way)
    data = file.index(b"\xff\xda") + 14
    assert [jpeg_scans(file[:end]) for end in range(data)] == [None] * data
