"""The means of the luma blocks of JPEGs (ITU-T T.81), with nothing else decoded.

A mean is the DC coefficient of a block; what lies between two of them is passed in few look-ups.
What remains is waiting for the look-up before, so two runs of data are walked in turn in one loop,
and the processor goes on with one while the other waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import boolean, int64, types, uint8, uint16, uint64, void

from filters.image.luma.jpeg_scans import AC, BLOCK, Jpeg, Scan
from manifests.kernels.compiling import compiled, inlined
from manifests.kernels.jpeg_huffman import (
    DONE,
    LAST,
    PASSED,
    SEEN_BITS,
    TABLES,
    UNSEEN,
    Tables,
    symbol,
    tables,
)

_STEPS = 32
"""Look-ups before it is seen whether a run has ended."""
_SLACK = _STEPS + 2
"""Words that broken data may be read past its end: a look-up takes 31 bits at most."""
_FURTHEST = 511
"""From the middle gray: what libjpeg takes for black or white; beyond, its table wraps around."""
_END = b"\xff\xd9"

_0, _1, _2, _5, _8, _31, _32, _48, _63 = (np.uint64(n) for n in (0, 1, 2, 5, 8, 31, 32, 48, 63))
_DONE, _PASSED, _LAST = np.uint64(DONE), np.uint64(PASSED), np.uint64(LAST)
_UNSEEN_BITS = np.uint64(64 - SEEN_BITS)
_BYTE, _WORD = np.uint64(0xFF), np.uint64(0xFFFFFFFF)
_EVERY_1, _EVERY_80 = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_BYTES, _HALVES = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_U16, _U64 = uint16[::1], uint64[::1]
_GRID = types.UniTuple(int64, 8)
_READ_U64 = types.Array(uint64, 1, "C", readonly=True)


class _Group(NamedTuple):
    """Several JPEGs at once. A run is what lies between two restarts of a scan.

    `pairs`: the data without its stuffing, each word of 32 bits with the next one below it.
    `starts`, `stops`: the bits of the words where each run does. `turns`: where its tables start
    in the plan. `whole`: whether its data is what the plan says, and no more. `plan`: Huffman
    tables by number, in the order of their turns, with a 0 after each run; a turn of a DC table is
    one symbol, a turn of an AC table the rest of the block. `ahead`: the bits from the start of
    the last look-up of each turn.
    """

    pairs: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    turns: np.ndarray
    whole: np.ndarray
    plan: np.ndarray
    ahead: np.ndarray


class _Slot(NamedTuple):
    """Where a scan lies in its group: its first word, run and turn."""

    scan: Scan
    word: int
    run: int
    turn: int

    @property
    def runs(self) -> slice:
        return slice(self.run, self.run + self.scan.runs)


def luma_means(files: Sequence[bytes], jpegs: Sequence[Jpeg]) -> list[np.ndarray | None]:
    """The luma of each JPEG at 1/8 of its size, uint8 (rows, columns): libjpeg's, to the bit.

    None where data is broken or ends early: that is for a whole decoder to look at.
    """
    slots, group = _room(jpegs)
    codes = {code: 0 for jpeg in jpegs for scan in jpeg.scans for code in scan.codes}
    known = tables(list(codes))
    numbers = {code: number for number, code in enumerate(codes, 1)}
    there = []
    for file, jpeg, scans in zip(files, jpegs, slots, strict=True):
        there.append(all(_unstuffed(file, slot, group, jpeg.alone) for slot in scans))
        coded = scans[0]
        turns = np.array([numbers[code] for code in coded.scan.codes], np.uint16)
        grid = _grid(coded.scan)
        _write_plan(turns, grid, coded.turn, group.turns[coded.runs], group.plan)
    _walk(*group, *known)
    found = zip(there, jpegs, slots, strict=True)
    return [_luma(jpeg, scans, group, known) if ok else None for ok, jpeg, scans in found]


def _room(jpegs: Sequence[Jpeg]) -> tuple[list[list[_Slot]], _Group]:
    """A group with nothing in it yet, and where in it each scan of each JPEG will lie."""
    slots: list[list[_Slot]] = []
    word, run, turn = 1, 0, 1
    for jpeg in jpegs:
        slots.append([])
        for scan in jpeg.scans:
            slots[-1].append(_Slot(scan, word, run, turn))
            word += (scan.end - scan.at) // 4 + 2 * scan.runs + 4
            turn += scan.runs * (scan.run * len(scan.codes) + 1)
            run += scan.runs
    starts, stops, turns = np.zeros((3, run), np.uint64)
    pairs, ahead = np.empty(word + _SLACK, np.uint64), np.empty(turn, np.uint64)
    whole, plan = np.zeros(run, np.bool_), np.empty(turn, np.uint16)
    plan[0] = 0
    return slots, _Group(pairs, starts, stops, turns, whole, plan, ahead)


def _unstuffed(file: bytes, slot: _Slot, group: _Group, alone: bool) -> bool:
    """Put the data of a scan in its place; false if a restart is missing, or what should follow."""
    scan = slot.scan
    words = np.frombuffer(file, "<u8", len(file) // 8)
    last = np.frombuffer(file[8 * len(words) :].ljust(8, b"\0"), "<u8")
    runs = group.starts[slot.runs], group.stops[slot.runs]
    end = _unstuff(words, last, scan.at, slot.word, group.pairs, *runs)
    if scan.codes or end < 0:
        return end >= 0 and (not alone or file[end : end + 2] == _END)
    mcus = np.full(scan.runs, scan.run)
    mcus[-1] = scan.across * scan.down - scan.run * (scan.runs - 1)
    bits = (group.stops[slot.runs] - group.starts[slot.runs]).astype(np.int64)
    return bool(np.all(bits // 8 == -(-mcus * scan.blocks // 8)))


def _luma(jpeg: Jpeg, scans: Sequence[_Slot], group: _Group, known: Tables) -> np.ndarray | None:
    first, *others = scans
    if not group.whole[first.runs].all():
        return None
    rows = max(slot.scan.down * slot.scan.high for slot in scans)
    columns = max(slot.scan.across * slot.scan.wide for slot in scans)
    means = np.empty((rows, columns), np.int64)
    _first_bits(group.turns[first.runs], group.plan, group.ahead, *known, _grid(first.scan), means)
    for slot in others:
        _next_bit(group.pairs, group.starts[slot.runs], _grid(slot.scan), means)
    luma = np.empty((-(-jpeg.height // BLOCK), -(-jpeg.width // BLOCK)), np.uint8)
    return luma if _show(means, jpeg.step, luma) else None


def _grid(scan: Scan) -> tuple[int, ...]:
    across, down, run, turns = scan.across, scan.down, scan.run, len(scan.codes)
    return across, down, scan.wide, scan.high, scan.blocks, run, turns, scan.bit


@inlined
def _has_ff(eight: np.uint64) -> bool:
    """Whether one of 8 bytes is 0xff (Mycroft's test for zero, of the complement)."""
    zero = ~eight
    return bool((zero - _EVERY_1) & eight & _EVERY_80 != _0)


@inlined
def _reversed(eight: np.uint64) -> np.uint64:
    """8 bytes from little to big endian."""
    eight = (eight >> _8) & _BYTES | (eight & _BYTES) << _8
    eight = (eight >> np.uint64(16)) & _HALVES | (eight & _HALVES) << np.uint64(16)
    return eight >> _32 | eight << _32


@compiled(int64(_READ_U64, _READ_U64, int64, int64, _U64, _U64, _U64))
def _unstuff(
    words: np.ndarray,
    last: np.ndarray,
    at: int,
    first: int,
    pairs: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
) -> int:
    """Write the data of a scan; returns where its last run ends, in bytes, or -1: it does not.

    A file is `words` of 8 bytes, first byte lowest, and the `last`, filled up with zeros. In data
    0xff is followed by 0; before all else it starts a marker, and those of restarts count from 0
    to 7. `have` bits are waiting to make a whole word.
    """
    word, before, waiting, have, run, marked = np.uint64(first), _0, _0, _0, 0, False
    starts[0] = word << _5
    for i in range(at // 8, len(words) + 1):
        eight = words[i] if i < len(words) else last[0]
        if not marked and 8 * i >= at and not _has_ff(eight):
            eight = _reversed(eight)
            both = waiting << _1 << (_63 - have) | eight >> have
            pairs[word - _1] = before << _32 | both >> _32
            pairs[word] = both
            word, before, waiting = word + _2, both, eight
            continue
        for j in range(max(0, at - 8 * i), 8):
            byte = eight >> np.uint64(8 * j) & _BYTE
            if marked and byte:
                rest = waiting << (_32 - have) & _WORD
                pairs[word - _1] = before << _32 | rest
                pairs[word] = rest << _32
                stops[run] = (word << _5) + have
                run += 1
                if run == len(starts) or byte != np.uint64(0xD0 + (run - 1 & 7)):
                    return 8 * i + j - 1 if run == len(starts) else -1
                word, before, have, marked = word + _2, _0, _0, False
                starts[run] = word << _5
                continue
            if not marked and byte == _BYTE:
                marked = True
                continue
            waiting, have = waiting << _8 | (_BYTE if marked else byte), have + _8
            marked = False
            if have == _32:
                pairs[word - _1] = before << _32 | waiting & _WORD
                word, before, have = word + _1, waiting, _0
    return -1


@compiled(void(_U16, _GRID, int64, _U64, _U16))
def _write_plan(
    codes: np.ndarray, grid: tuple[int, ...], first: int, turns: np.ndarray, plan: np.ndarray
) -> None:
    """Write the Huffman tables of a scan in the order of their turns, and where its runs start."""
    across, down, _, _, _, run, _, _ = grid
    turn = first
    for mcu in range(across * down):
        if mcu % run == 0:
            turn = first + mcu // run * (run * len(codes) + 1)
            turns[mcu // run] = turn
        for code in codes:
            plan[turn] = code
            turn += 1
        plan[turn] = 0


@inlined
def _place(code: np.uint16, ahead: np.uint64) -> np.uint64:
    """Of the entry for the next bits, among those of all codes."""
    return np.uint64(code) << np.uint64(SEEN_BITS) | ahead >> _UNSEEN_BITS


@compiled(void(_U64, _U64, _U64, _U64, boolean[::1], _U16, _U64, *TABLES))
def _walk(
    pairs: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    turns: np.ndarray,
    whole: np.ndarray,
    plan: np.ndarray,
    ahead: np.ndarray,
    seen: np.ndarray,
    kinds: np.ndarray,
    limits: np.ndarray,
    offsets: np.ndarray,
    symbols: np.ndarray,
) -> None:
    """Go through all runs by plan, two at a time.

    A lane that has nothing to do is at turn 0 of the plan, or at the 0 after its run: the entries
    there take no bit and end nothing.
    """
    at, stop = np.zeros(2, np.uint64), np.zeros(2, np.uint64)
    turn, passed = np.zeros(2, np.uint64), np.zeros(2, np.uint64)
    which, runs = np.full(2, -1), 0
    while True:
        for lane in range(2):
            ended = plan[turn[lane]] == 0
            if not ended and at[lane] <= stop[lane]:
                continue
            if which[lane] >= 0:
                whole[which[lane]] = ended and at[lane] <= stop[lane] < at[lane] + _8
            which[lane], at[lane], stop[lane], turn[lane], passed[lane] = -1, _0, _0, _0, _0
            if runs < len(starts):
                which[lane], at[lane], stop[lane] = runs, starts[runs], stops[runs]
                turn[lane] = turns[runs]
                runs += 1
        if which[0] < 0 and which[1] < 0:
            return
        at_0, turn_0, passed_0 = at[0], turn[0], passed[0]
        at_1, turn_1, passed_1 = at[1], turn[1], passed[1]
        beyond_0, beyond_1 = _0, _0
        for _ in range(_STEPS):
            ahead_0 = pairs[at_0 >> _5] << (at_0 & _31)
            ahead_1 = pairs[at_1 >> _5] << (at_1 & _31)
            entry_0 = np.uint64(seen[_place(plan[turn_0], ahead_0)])
            entry_1 = np.uint64(seen[_place(plan[turn_1], ahead_1)])
            beyond_0 = passed_0 + (entry_0 >> _PASSED)
            beyond_1 = passed_1 + (entry_1 >> _PASSED)
            if beyond_0 >= _LAST or beyond_1 >= _LAST:
                break
            at_0 += entry_0 & _31
            at_1 += entry_1 & _31
            done_0 = entry_0 >> _DONE & _1
            done_1 = entry_1 >> _DONE & _1
            passed_0 = beyond_0 & (done_0 - _1)
            passed_1 = beyond_1 & (done_1 - _1)
            ahead[turn_0] = ahead_0
            ahead[turn_1] = ahead_1
            turn_0 += done_0
            turn_1 += done_1
        at[0], turn[0], passed[0] = at_0, turn_0, passed_0
        at[1], turn[1], passed[1] = at_1, turn_1, passed_1
        for lane in range(2):
            if (beyond_1 if lane else beyond_0) < _LAST:
                continue
            here = pairs[at[lane] >> _5] << (at[lane] & _31)
            code = plan[turn[lane]]
            bits, found = symbol(np.int64(here >> _48), np.int64(code), limits, offsets, symbols)
            value, beyond, done = found, 0, True
            if kinds[code] == AC:
                value = found & 15
                ended = value == 0 and found >> 4 != 15
                beyond = 0 if ended else np.int64(passed[lane]) + (found >> 4) + 1
                done = ended or beyond == LAST
            if bits == 0 or beyond > LAST:
                at[lane] = stop[lane] + _1
                continue
            at[lane] += np.uint64(bits + value)
            passed[lane] = _0 if done else np.uint64(beyond)
            ahead[turn[lane]] = here
            turn[lane] += np.uint64(done)


@inlined
def _difference(value: np.uint64, size: int) -> int:
    """A number by its first `size` bits: those below 2^(size - 1) are negative (T.81, F.2.2.1)."""
    number = int(np.int64(value >> _1 >> np.uint64(63 - size)))
    return number if value >> _63 else number - (1 << size) + 1


@compiled(void(_U64, _U16, _U64, *TABLES, _GRID, int64[:, ::1]))
def _first_bits(
    turns: np.ndarray,
    plan: np.ndarray,
    ahead: np.ndarray,
    seen: np.ndarray,
    kinds: np.ndarray,
    limits: np.ndarray,
    offsets: np.ndarray,
    symbols: np.ndarray,
    grid: tuple[int, ...],
    means: np.ndarray,
) -> None:
    """Add up the differences between luma means, from 0 in each run (T.81, F.2.2.1)."""
    across, down, wide, high, blocks, run, of_mcu, bit = grid
    of_block, mcu, mean = of_mcu // blocks, 0, 0
    for top in range(0, down * high, high):
        for left in range(0, across * wide, wide):
            if mcu % run == 0:
                turn, mean = np.int64(turns[mcu // run]), 0
            for row in range(top, top + high):
                for column in range(left, left + wide):
                    here = ahead[turn]
                    entry = np.int64(seen[_place(plan[turn], here)])
                    taken, size = entry & 31, entry >> PASSED
                    if entry == UNSEEN:
                        code = np.int64(plan[turn])
                        bits, size = symbol(np.int64(here >> _48), code, limits, offsets, symbols)
                        taken = bits + size
                    mean += _difference(here << np.uint64(taken - size), size)
                    means[row, column] = mean << bit
                    turn += of_block
            turn += (blocks - wide * high) * of_block
            mcu += 1


@compiled(void(_U64, _U64, _GRID, int64[:, ::1]))
def _next_bit(
    pairs: np.ndarray, starts: np.ndarray, grid: tuple[int, ...], means: np.ndarray
) -> None:
    """Add one bare bit to each luma mean (T.81, G.1.2.1.1)."""
    across, down, wide, high, blocks, run, _, bit = grid
    mcu = 0
    for top in range(0, down * high, high):
        for left in range(0, across * wide, wide):
            at = starts[mcu // run] + np.uint64(mcu % run * blocks)
            for row in range(top, top + high):
                for column in range(left, left + wide):
                    one = np.int64(pairs[at >> _5] << (at & _31) >> _63)
                    means[row, column] |= one << bit
                    at += _1
            mcu += 1


@compiled(boolean(int64[:, ::1], int64, uint8[:, ::1]))
def _show(means: np.ndarray, step: int, luma: np.ndarray) -> bool:
    """Write luma as libjpeg does where it shows one pixel a block; false if it is out of range."""
    for row in range(luma.shape[0]):
        for column in range(luma.shape[1]):
            gray = means[row, column] * step + 4 >> 3
            if abs(gray) > _FURTHEST:
                return False
            luma[row, column] = max(0, min(gray + 128, 255))
    return True
