"""A generated source, its damage, and the generator of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

from tests.hunt.seen import Seen

Files = dict[str, bytes]
"""The files of a source, by their path in its folder."""
IN, IMAGES = "in", "images"
"""The folders of the generated files and of the images, in the folder of trials."""


class Damaged(NamedTuple):
    """Files with damage. `lost` and `gained` are the largest numbers of records that may be missing
    from those of the sound source, and that may be new; None: any number. `mixes` is whether a
    record may show parts of two units, because the files really say so. `units` is what the outside
    count says, and `records` the number of records that an outside reading has; None: this is not
    known. `is_quiet` is whether there may be fewer records without a word."""

    name: str
    files: Files
    lost: int | None
    gained: int | None
    mixes: bool = False
    units: int | None = None
    records: int | None = None
    is_quiet: bool = False


class Made(NamedTuple):
    """A sound source: the settings of its reader, its files, the records that it has, its units,
    and a function that damages it."""

    settings: dict[str, Any]
    files: Files
    records: list[Seen]
    units: int | None
    damage: Callable[[Random], Damaged]


class Generator(NamedTuple):
    """Makes sound sources for a reader. `unit` is the word for what the reader counts."""

    reader: str
    make: Callable[[Random], Made]


Count = Callable[[Mapping[str, bytes]], int | None]
"""Counts the units of files by other means than the reader; None: they cannot be counted."""
