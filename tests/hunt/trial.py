"""One trial: a sound source, and some damage to it."""

from __future__ import annotations

import signal
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from random import Random
from types import FrameType
from typing import NamedTuple

from tests.hunt.cutting import cut_small
from tests.hunt.made import Generator, Made
from tests.hunt.observe import Observed, observe, write_source
from tests.hunt.rules import faults_of_cut, faults_of_damaged, faults_of_sound

MAX_SECONDS = 60
"""Wall time after which a read counts as a hang: thousands of times what one takes."""
DAMAGES = 3
"""Number of damages that are tried on each sound source."""


class Finding(NamedTuple):
    """A rule that does not hold, and the seed and damage that show it."""

    reader: str
    seed: int
    damage: str
    fault: str

    def __str__(self) -> str:
        again = f"python -m tests.hunt --reader {self.reader} --seed {self.seed} --count 1"
        return f"{again}\n    {self.damage}: {self.fault}"


def findings(generator: Generator, seed: int, base: Path) -> Iterator[Finding]:
    """What is wrong in the trial of a seed. The folder `base` then has the last source."""
    draw, damage = Random(f"{generator.reader} {seed}"), "sound"
    is_cut = draw.random() < 0.4
    try:
        with warnings.catch_warnings(action="error", category=RuntimeWarning), _no_hang():
            made = generator.make(draw)
            write_source(base, made.files)
            sound = _read(generator, made, base, is_cut)
            for fault in faults_of_sound(made, sound, base):
                yield Finding(generator.reader, seed, damage, fault)
            if is_cut:
                for fault in faults_of_cut(sound, _read(generator, made, base, False)):
                    yield Finding(generator.reader, seed, damage, fault)
            if not draw.randrange(20) and sound != _read(generator, made, base, is_cut):
                yield Finding(generator.reader, seed, damage, "read again, it gives something else")
            for _ in range(DAMAGES):
                damaged = made.damage(draw)
                damage = damaged.name
                write_source(base, damaged.files)
                found = _read(generator, made, base, is_cut)
                for fault in faults_of_damaged(made, sound, damaged, found, base):
                    yield Finding(generator.reader, seed, damage, fault)
    except Exception:  # what a reader raises is what is looked for
        yield Finding(generator.reader, seed, damage, traceback.format_exc())


def _read(generator: Generator, made: Made, base: Path, is_cut: bool) -> Observed:
    """Reads the source in the folder `base`; `is_cut`: in several splits and batches."""
    with cut_small() if is_cut else nullcontext():
        return observe(generator.reader, made.settings, base)


@contextmanager
def _no_hang() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"a trial takes more than {MAX_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
