"""Sources of rows, in any form: their damage, and how much of them each damage may cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.hunt import damage
from tests.hunt.forms import ARRAY, ARROW, COLUMNS, JSON, LINES, PICKLE, Form
from tests.hunt.made import IN, Damaged, Made
from tests.hunt.seen import Seen


class RowOf(NamedTuple):
    """A row as it is written, and the records that it has."""

    value: Any
    records: Sequence[Seen]


class Rows(NamedTuple):
    """A file of rows in a form, and the settings of its reader. `encode` writes it, if the form
    alone does not say how. `more` are its other files. `is_keyed`
    is whether a row that comes twice has a key that comes twice, so that both fail."""

    form: Form
    rows: list[RowOf]
    settings: dict[str, Any]
    encode: Callable[[Sequence[Any], Random], bytes] | None = None
    more: Mapping[str, bytes] = MappingProxyType({})
    is_keyed: bool = False

    @property
    def name(self) -> str:
        return f"rows{self.form.ending}"

    def files(self, values: Sequence[Any], draw: Random) -> dict[str, bytes]:
        encode = self.encode or self.form.encode
        return {self.name: encode(values, draw), **self.more}

    def made(self, draw: Random) -> Made:
        """The sound source with these rows."""
        files = self.files([row.value for row in self.rows], draw)
        units = self.form.outside_count(files[self.name])
        assert units in (None, len(self.rows)) or self.form not in (ARRAY, *COLUMNS)
        records = [one for row in self.rows for one in row.records]
        settings = {"path": f"{IN}/{self.name}", **self.settings}
        return Made(settings, files, records, units, partial(self._damaged, files))

    def _damaged(self, files: dict[str, bytes], draw: Random) -> Damaged:
        kinds = [self._row_removed, self._rows_moved, self._row_twice, self._bytes, self._bytes]
        if self.form not in (PICKLE, *COLUMNS):
            kinds += [self._field_removed, self._bytes, self._line]
        if self.form in (*JSON, PICKLE):
            kinds += [self._field_odd, self._field_odd, self._row_odd]
        return draw.choice(kinds)(files, draw)

    def _written(
        self, name: str, values: Sequence[Any], draw: Random, lost: int, gained: int
    ) -> Damaged:
        files = self.files(values, draw)
        return Damaged(name, files, lost, gained, units=self.form.outside_count(files[self.name]))

    def _row_removed(self, files: dict[str, bytes], draw: Random) -> Damaged:
        at = draw.randrange(len(self.rows))
        values = [row.value for n, row in enumerate(self.rows) if n != at]
        if not values and self.form not in JSON:
            return self._rows_moved(files, draw)
        return self._written("a row removed", values, draw, len(self.rows[at].records), 0)

    def _rows_moved(self, files: dict[str, bytes], draw: Random) -> Damaged:
        values = draw.sample([row.value for row in self.rows], len(self.rows))
        return self._written("the order changed", values, draw, 0, 0)

    def _row_twice(self, files: dict[str, bytes], draw: Random) -> Damaged:
        again = draw.choice(self.rows)
        values = [row.value for row in self.rows]
        values.insert(draw.randrange(len(values) + 1), again.value)
        lost, gained = (1, 0) if self.is_keyed else (0, 1)
        count = len(again.records)
        return self._written("a row twice", values, draw, lost * count, gained * count)

    def _field_removed(self, files: dict[str, bytes], draw: Random) -> Damaged:
        return self._changed("a field removed", damage.without_a_field, draw)

    def _field_odd(self, files: dict[str, bytes], draw: Random) -> Damaged:
        return self._changed("an odd value", damage.with_an_odd_field, draw)

    def _row_odd(self, files: dict[str, bytes], draw: Random) -> Damaged:
        return self._changed("an odd row", lambda _, d: damage.odd_value(d), draw)

    def _changed(self, name: str, change: Callable[[Any, Random], Any], draw: Random) -> Damaged:
        at = draw.randrange(len(self.rows))
        values = [row.value for row in self.rows]
        values[at] = change(values[at], draw)
        touched = len(self.rows[at].records)
        return self._written(f"{name}, row {at}", values, draw, touched, max(1, touched))

    def _line(self, files: dict[str, bytes], draw: Random) -> Damaged:
        """A line removed, repeated, or put elsewhere."""
        lines = files[self.name].splitlines(keepends=True)
        at = draw.randrange(len(lines))
        line, name = lines.pop(at), "a line removed"
        if draw.random() < 0.5:
            lines.insert(draw.randrange(len(lines) + 1), line)
            name = "a line elsewhere"
        most = max(len(row.records) for row in self.rows)
        limit = 2 * most if self.form is LINES else None  # the last line may have no end
        return self._with(name, files, b"".join(lines), limit, limit)

    def _bytes(self, files: dict[str, bytes], draw: Random) -> Damaged:
        old = files[self.name]
        data, at, what = damage.bytes_changed(old, draw)
        lost, gained = self._limits(old, data, at)
        return self._with(what, files, data, lost, gained)

    def _limits(self, old: bytes, new: bytes, at: int) -> tuple[int | None, int | None]:
        """The largest numbers of records that a change of bytes may cost and add."""
        most = max((len(row.records) for row in self.rows), default=1)
        is_cut = len(new) == at
        if self.form is LINES:
            joined = old[at : at + 30].count(b"\n") + 1
            return None if is_cut else most * joined, most * (new[at : at + 30].count(b"\n") + 1)
        gained = most * 2 if self.form is ARRAY else None
        is_by_line = old.count(b"\n") in range(len(self.rows), len(self.rows) + 2)
        is_inside = old.find(b"\n") < at < old.rstrip().rfind(b"\n")
        if self.form in (*COLUMNS, PICKLE) or is_cut or not (is_by_line and is_inside):
            return None, gained
        return most * 3, gained

    def _with(
        self, name: str, files: dict[str, bytes], data: bytes, lost: int | None, gained: int | None
    ) -> Damaged:
        """The files with other bytes; these may really say that parts of two rows are one."""
        units = self.form.outside_count(data) if self.form is not ARROW else None
        new, records = {**files, self.name: data}, self.form.records(data)
        return Damaged(name, new, lost, gained, True, units, records)
