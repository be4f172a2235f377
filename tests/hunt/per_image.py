"""Sources of many files: one for each image, and files that belong to none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from tests.hunt import damage
from tests.hunt.made import IN, Damaged, Made
from tests.hunt.seen import Seen


class FileOf(NamedTuple):
    """A file, and the records that it takes part in. `units` is what it counts as."""

    name: str
    data: bytes
    records: Sequence[Seen]
    units: int = 1


class PerImage(NamedTuple):
    """The files of a source. `changed` is a damage of the dialect's own, of the bytes of one file;
    `path` is where its reader looks for files. `mixes` is as for Damaged."""

    files: list[FileOf]
    settings: dict[str, Any]
    path: str = IN
    changed: Callable[[bytes, Random], bytes] | None = None
    mixes: bool = False

    def made(self, draw: Random) -> Made:
        files = {one.name: one.data for one in self.files}
        records = list(dict.fromkeys(r for one in self.files for r in one.records))
        units = sum(one.units for one in self.files)
        return Made({"path": self.path, **self.settings}, files, records, units, self._damage)

    def _damage(self, draw: Random) -> Damaged:
        kinds = [self._removed, self._emptied, self._twice, self._bytes, self._bytes]
        if self.changed:
            kinds += [self._own] * 3
        return draw.choice(kinds)(draw.choice(self.files), draw)

    def _with(self, what: str, one: FileOf, more: dict[str, bytes]) -> Damaged:
        files = {f.name: f.data for f in self.files if f.name != one.name or not more}
        most = len(one.records) or None  # None: it is for all files, such as the names of classes
        return Damaged(f"{one.name} {what}", files | more, most, most, mixes=self.mixes)

    def _removed(self, one: FileOf, draw: Random) -> Damaged:
        left = self._replace(files=[f for f in self.files if f is not one])
        return left._with("removed", one, {})

    def _emptied(self, one: FileOf, draw: Random) -> Damaged:
        return self._with("emptied", one, {one.name: b""})

    def _twice(self, one: FileOf, draw: Random) -> Damaged:
        """A copy of the file in another folder."""
        folder, slash, name = one.name.rpartition("/")
        return self._with(
            "copied", one, {one.name: one.data, f"{folder}{slash}more/{name}": one.data}
        )

    def _own(self, one: FileOf, draw: Random) -> Damaged:
        assert self.changed is not None
        return self._with("changed", one, {one.name: self.changed(one.data, draw)})

    def _bytes(self, one: FileOf, draw: Random) -> Damaged:
        data, _, what = damage.bytes_changed(one.data or b" ", draw)
        return self._with(what, one, {one.name: data})
