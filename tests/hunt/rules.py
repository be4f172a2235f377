"""The rules that hold for what a reader makes of a source, sound or damaged."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.hunt.made import Damaged, Files, Made
from tests.hunt.observe import Observed
from tests.hunt.seen import Seen
from tests.hunt.words import ascii_words, tokens_in

PACKED = (".parquet", ".arrow")
"""Endings of files whose texts are not in their bytes as they are."""
_ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}")


def faults_of_sound(made: Made, found: Observed, base: Path) -> Iterator[str]:
    """What is wrong with the reading of a sound source."""
    if found.refused is not None:
        yield f"a sound source is refused: {found.refused}"
        return
    yield from (f"a sound input fails: {f.key}: {f.message}" for f in found.failures)
    expected = Counter(made.records)
    yield from (f"lost: {one}" for one in expected - found.records)
    yield from (f"invented: {one}" for one in found.records - expected)
    if any(one.uncounted for one in found.counted):
        yield "its units are not counted"
    elif made.units not in (None, found.units):
        yield f"{found.units} units are found, but {made.units} were generated"
    yield from _faults_of_any(found, base)


def faults_of_cut(cut: Observed, whole: Observed) -> Iterator[str]:
    """What differs if a sound source is read in several splits and batches (`cut`), and in as few
    as possible (`whole`)."""
    yield from (f"only if it is cut: {one}" for one in cut.named - whole.named)
    yield from (f"only if it is whole: {one}" for one in whole.named - cut.named)


def faults_of_damaged(
    made: Made, sound: Observed, damaged: Damaged, found: Observed, base: Path
) -> Iterator[str]:
    """What is wrong with the reading of a damaged source; `sound` is the one of the sound one."""
    yield from _faults_of_any(found, base)
    if found.refused is not None:
        return
    lost, gained = sound.records - found.records, found.records - sound.records
    if damaged.lost is not None and lost.total() > damaged.lost:
        yield f"{lost.total()} records are lost, of {damaged.lost} at most: {_first(lost)}"
    if damaged.gained is not None and gained.total() > damaged.gained:
        yield f"{gained.total()} records are new, of {damaged.gained} at most: {_first(gained)}"
    is_counted = not any(one.uncounted for one in found.counted)
    if is_counted and damaged.units not in (None, found.units):
        yield f"{found.units} units are found, but there are {damaged.units}"
    total = found.records.total()
    is_known = damaged.is_quiet or total in (sound.records.total(), damaged.records)
    if not is_known and not _is_stated(sound, found):
        yield f"{total} records, and nothing says why: {_first(lost or gained)}"
    if not damaged.mixes:
        yield from (f"parts of two units in one: {one}" for one in gained if _is_mixed(one))
        yield from (f"its text is nowhere: {one}" for one in gained if _is_new(one, damaged.files))


def _first(records: Counter[Seen]) -> str:
    return f"{next(iter(records))}"


def _is_stated(sound: Observed, found: Observed) -> bool:
    """Whether something states why there are more or fewer records: other units, failures, or units
    left aside."""
    aside = [[one.left_aside for one in outcome.counted] for outcome in (sound, found)]
    return bool(found.failures) or found.units != sound.units or aside[0] != aside[1]


def _is_mixed(one: Seen) -> bool:
    shown = set().union(*map(tokens_in, (*one.texts, *one.images)), set[str]())
    return len(shown) > 1


def _is_new(one: Seen, files: Files) -> bool:
    if any(name.endswith(PACKED) for name in files):
        return False
    data = b"\n".join((*files.values(), *map(str.encode, files)))
    words = set().union(*map(ascii_words, one.texts), set[str]())
    return any(word.encode() not in data for word in words)


def _faults_of_any(found: Observed, base: Path) -> Iterator[str]:
    for counted in found.counted:
        if not counted.balances:
            yield f"the count does not balance: {counted}"
    for failure in found.failures:
        if failure.error == "CountError":
            yield f"the reader does not account for all: {failure.message}"
        if not failure.message or not failure.origin or not failure.key:
            yield f"a failure lacks its place or its message: {failure}"
    if len(set(found.ids)) < len(found.ids):
        yield "two records have the same id"
    if str(base) in found.digested:
        yield f"a path of the machine: {_around(found.digested, str(base))}"
    if address := _ADDRESS.search(found.digested):
        yield f"a memory address: {_around(found.digested, address.group())}"


def _around(text: str, part: str) -> str:
    at = text.index(part)
    return text[max(0, at - 60) : at + 100]
