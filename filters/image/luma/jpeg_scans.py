"""Where a JPEG (ITU-T T.81) keeps the means of its blocks, the DC coefficients of its luma.

Only the usual is answered: Huffman-coded, 8 bits, gray or YCbCr with luma at full size, every
table and marker in its place. The unusual and the broken are left to a whole decoder.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from operator import lshift
from typing import Literal, NamedTuple

BLOCK = 8
"""Pixels in each direction of what has one mean."""

DC, AC = 0, 1
_MOST_PIXELS = 65500
"""In each direction: what libjpeg decodes (JPEG_MAX_DIMENSION)."""
_MOST_BLOCKS = 10
"""In one MCU of several layers (T.81, B.2.3)."""
_NEXT_MARKER = re.compile(rb"\xff[^\0\xd0-\xd7]", re.DOTALL)
_SOF0, _SOF1, _SOF2, _DHT, _EOI, _SOS = 0xC0, 0xC1, 0xC2, 0xC4, 0xD9, 0xDA
_DQT, _DRI, _COM = 0xDB, 0xDD, 0xFE
_APP0, _APP1, _APP2, _APP13, _APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
_TEXT_RESOLUTIONS = {
    order: [struct.pack(sign + "HH", 0x011A, kind) for kind in (1, 2, 7)]
    for order, sign in (("big", ">"), ("little", "<"))
}
"""By the order of bytes, how an Exif entry starts that says XResolution in bytes or text."""
_ENTRY_BYTES = 12
"""Of a tag in Exif."""


class Scan(NamedTuple):
    """One scan that has luma means: the first that tells them, or one that adds a bit to each.

    Its data is at `at` and ends with the marker at `end`, or before, if it is alone. An MCU, the
    unit that is repeated, has `blocks` blocks, those of luma first: `high` rows of `wide`. `codes`
    are the Huffman tables its symbols use, in order: each the byte DC or AC, 16 counts and the
    symbols; none where each block has one bare bit. `run` MCUs lie between two restarts, so there
    are `runs`. `bit` is the place of the last bit told.
    """

    at: int
    end: int
    across: int
    down: int
    wide: int
    high: int
    blocks: int
    run: int
    runs: int
    codes: tuple[bytes, ...]
    bit: int


class Jpeg(NamedTuple):
    """Width and height in pixels, the step of luma's means, and the scans that tell them.

    `alone`: the one scan is all there is, and the image ends after it. `exif` is the block of
    that name, empty where there is none.
    """

    width: int
    height: int
    step: int
    scans: tuple[Scan, ...]
    alone: bool
    exif: bytes


class _Unusual(Exception):
    """For a whole decoder."""


class _Layer(NamedTuple):
    name: int
    wide: int
    high: int
    table: int


@dataclass
class _Seen:
    """What the markers so far have said."""

    size: tuple[int, int] = (0, 0)
    layers: tuple[_Layer, ...] = ()
    progressive: bool = False
    steps: dict[int, int] = field(default_factory=dict)
    codes: dict[int, bytes] = field(default_factory=dict)
    restart: int = 0
    exif: bytes = b""
    scans: list[Scan] = field(default_factory=list)
    has_details: bool = False


def jpeg_scans(data: bytes) -> Jpeg | None:
    """The scans with the means of a JPEG's luma; None for all that is not a usual JPEG."""
    try:
        return _walk(data)
    except (_Unusual, IndexError, KeyError, struct.error):
        return None


def _walk(data: bytes) -> Jpeg:
    seen, at = _Seen(), 2
    if not data.startswith(b"\xff\xd8\xff"):
        raise _Unusual
    while True:
        marker = data[at + 1]
        if marker == _EOI and data[at] == 0xFF:
            return _whole(seen)
        after = at + 2 + (data[at + 2] << 8 | data[at + 3])
        body = data[at + 4 : after]
        if data[at] != 0xFF or after > len(data) or after < at + 4:
            raise _Unusual
        at = after
        if marker != _SOS:
            _READERS[marker](seen, body)
            continue
        end = _next_marker(data, at) if seen.progressive else len(data)
        _read_scan(seen, body, at, end)
        if not seen.progressive:
            return _jpeg(seen, alone=True)
        at = end


def _next_marker(data: bytes, at: int) -> int:
    found = _NEXT_MARKER.search(data, at)
    if found is None:
        raise _Unusual
    return found.start()


def _whole(seen: _Seen) -> Jpeg:
    """A progressive JPEG that has ended: its means must be there to the last bit.

    Where it has means alone, libjpeg smooths over block borders; that is left to it.
    """
    if not seen.scans or seen.scans[-1].bit or not seen.has_details:
        raise _Unusual
    return _jpeg(seen, alone=False)


def _jpeg(seen: _Seen, alone: bool) -> Jpeg:
    step = seen.steps[seen.layers[0].table]
    if _has_text_resolution(seen.exif):
        raise _Unusual
    return Jpeg(*seen.size, step, tuple(seen.scans), alone, seen.exif)


def _has_text_resolution(exif: bytes) -> bool:
    """Whether Exif says XResolution in bytes or text: Pillow fails where that is one alone."""
    tiff = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    order: Literal["big", "little"] = "big" if tiff.startswith(b"MM") else "little"
    at = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[at : at + 2], order)
    entries = tiff[at + 2 : at + 2 + count * _ENTRY_BYTES]
    return any(start in entries for start in _TEXT_RESOLUTIONS[order])


def _skip(seen: _Seen, body: bytes) -> None:
    pass


def _read_app0(seen: _Seen, body: bytes) -> None:
    """Pillow looks into some application segments; short ones break its parser."""
    if body.startswith(b"JFIF") and len(body) < 7:
        raise _Unusual


def _read_app1(seen: _Seen, body: bytes) -> None:
    if body.startswith(b"Exif\0\0"):
        seen.exif += body[6:] if seen.exif else body


def _read_app2(seen: _Seen, body: bytes) -> None:
    """Of several images in one file (MPF), Pillow counts them."""
    if body.startswith(b"MPF\0") or (body.startswith(b"ICC_PROFILE\0") and len(body) < 14):
        raise _Unusual


def _read_app13(seen: _Seen, body: bytes) -> None:
    """Photoshop's: Pillow needs more of a last block than its start and number."""
    if body.startswith(b"Photoshop 3.0\0") and body[-6:-2] == b"8BIM":
        raise _Unusual


def _read_app14(seen: _Seen, body: bytes) -> None:
    """Adobe's transform 1 is YCbCr."""
    if body.startswith(b"Adobe") and body[11] != 1:
        raise _Unusual


def _read_steps(seen: _Seen, body: bytes) -> None:
    at = 0
    while at < len(body):
        wide, number = divmod(body[at], 16)
        step = body[at + 1] << 8 | body[at + 2] if wide else body[at + 1]
        if wide > 1 or number > 3 or number in seen.steps or not step:
            raise _Unusual
        seen.steps[number] = step
        at += 65 + 64 * wide
    if at != len(body):
        raise _Unusual


def _read_codes(seen: _Seen, body: bytes) -> None:
    seen.codes.update(_codes(body))


@lru_cache(maxsize=256)
def _codes(body: bytes) -> dict[int, bytes]:
    """The Huffman tables of a segment, by kind and number; most JPEGs have one of few."""
    codes, at = {}, 0
    while at < len(body):
        kind, number = divmod(body[at], 16)
        end = at + 17 + sum(body[at + 1 : at + 17])
        code = bytes([kind]) + body[at + 1 : end]
        if number > 3 or end > len(body) or not is_code(code):
            raise _Unusual
        codes[body[at]] = code
        at = end
    return codes


def is_code(code: bytes) -> bool:
    """Whether counts and symbols make a Huffman code: no word of ones alone, no DC over 15 bits."""
    kind, counts, symbols = code[0], code[1:17], code[17:]
    words_of_16_bits = sum(map(lshift, counts, range(15, -1, -1)))
    if words_of_16_bits >= 1 << 16 or len(symbols) > 256:
        return False
    return kind == AC or (kind == DC and max(symbols, default=0) <= 15)


def _read_restart(seen: _Seen, body: bytes) -> None:
    (seen.restart,) = struct.unpack(">H", body)


def _read_sequential(seen: _Seen, body: bytes) -> None:
    bits, height, width, count = struct.unpack_from(">BHHB", body)
    if seen.layers or bits != 8 or count not in (1, 3) or len(body) != 6 + 3 * count:
        raise _Unusual
    if not 0 < width <= _MOST_PIXELS or not 0 < height <= _MOST_PIXELS:
        raise _Unusual
    triples = struct.iter_unpack("BBB", body[6:])
    layers = tuple([_Layer(name, size >> 4, size & 15, table) for name, size, table in triples])
    if not _is_luma_first(layers):
        raise _Unusual
    seen.size, seen.layers = (width, height), layers


def _is_luma_first(layers: tuple[_Layer, ...]) -> bool:
    """Whether the first layer has the full size, the others a whole part of it, and none is red."""
    wide, high = layers[0].wide, layers[0].high
    for layer in layers:
        if not layer.wide or not layer.high or wide % layer.wide or high % layer.high:
            return False
    names = bytes([layer.name for layer in layers])
    return wide <= 4 and high <= 4 and names != b"RGB" and len(set(names)) == len(names)


def _read_progressive(seen: _Seen, body: bytes) -> None:
    _read_sequential(seen, body)
    seen.progressive = True


def _read_scan(seen: _Seen, body: bytes, at: int, end: int) -> None:
    """Check a scan as libjpeg does, and keep it if it is one of luma's means."""
    count, first, before, bit = body[0], body[-3], body[-1] >> 4, body[-1] & 15
    layers = [_layer(seen, name) for name in body[1:-3:2]]
    if len(body) != 4 + 2 * count or len(set(layers)) != count or not _is_usual(seen, layers, body):
        raise _Unusual
    blocks = [la.wide * la.high if count > 1 else 1 for la in layers]
    codes: list[bytes] = []
    for tables, times in zip(body[2:-3:2], blocks, strict=True):
        codes += _codes_of_block(seen, tables, first, before) * times
    luma = seen.layers[0]
    if first or luma not in layers:
        seen.has_details |= first == 1 and luma in layers
        return
    told = seen.scans[-1].bit if seen.scans else 0
    if layers[0] != luma or before != told or (seen.scans and not before):
        raise _Unusual
    wide, high = (luma.wide, luma.high) if count > 1 else (1, 1)
    across, down = -(-seen.size[0] // (BLOCK * wide)), -(-seen.size[1] // (BLOCK * high))
    run = min(seen.restart, across * down) or across * down
    runs = -(-across * down // run)
    grid = across, down, wide, high, sum(blocks), run, runs
    seen.scans.append(Scan(at, end, *grid, tuple(codes), bit))


def _layer(seen: _Seen, name: int) -> _Layer:
    for layer in seen.layers:
        if layer.name == name and layer.table in seen.steps:
            return layer
    raise _Unusual


def _is_usual(seen: _Seen, layers: list[_Layer], body: bytes) -> bool:
    """What T.81, G.1.1.1.1 allows a progressive scan, as libjpeg reads it; or a scan of all."""
    first, last, before, bit = body[-3], body[-2], body[-1] >> 4, body[-1] & 15
    if not layers:
        return False
    if len(layers) > 1 and sum([la.wide * la.high for la in layers]) > _MOST_BLOCKS:
        return False
    if not seen.progressive:
        return tuple(layers) == seen.layers and (first, last, before, bit) == (0, 63, 0, 0)
    band = last == 0 if first == 0 else len(layers) == 1 and first <= last <= 63
    return band and bit <= 13 and (before == 0 or bit == before - 1)


def _codes_of_block(seen: _Seen, tables: int, first: int, before: int) -> list[bytes]:
    """The Huffman tables of a block's symbols, in order; a KeyError if they are not there."""
    dc, ac = tables >> 4, 16 | tables & 15
    if not seen.progressive:
        return [seen.codes[dc], seen.codes[ac]]
    if first:
        return [seen.codes[ac]]
    return [] if before else [seen.codes[dc]]


_READERS: dict[int, Callable[[_Seen, bytes], None]] = {
    **dict.fromkeys([*range(_APP0, _APP0 + 16), _COM], _skip),
    _APP0: _read_app0,
    _APP1: _read_app1,
    _APP2: _read_app2,
    _APP13: _read_app13,
    _APP14: _read_app14,
    _DQT: _read_steps,
    _DHT: _read_codes,
    _DRI: _read_restart,
    _SOF0: _read_sequential,
    _SOF1: _read_sequential,
    _SOF2: _read_progressive,
}
