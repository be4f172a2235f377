"""Groups the rows of tables, such as the counts of all parts, without holding all tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

_ROWS = 1 << 16
"""How many rows are collected before they are grouped (our choice)."""


class Grouping(NamedTuple):
    """How rows are grouped. `schema`: the columns before and after, first those whose values make a
    group. `functions`: for each of the other columns, how Arrow joins its values: `sum`, `min` or
    `max`. The order of the rows does not matter, unless sums of floats are rounded."""

    schema: pa.Schema
    functions: tuple[str, ...]

    def of(self, tables: Iterable[pa.Table]) -> pa.Table:
        """Returns a row for each group in the tables.

        Grouping(schema of value and count, ("sum",)): a 1, b 2, a 5 -> a 6, b 2
        """
        names = self.schema.names
        keys, others = names[: -len(self.functions)], names[-len(self.functions) :]
        wanted = list(zip(others, self.functions, strict=True))
        made = pa.concat_tables(tables).group_by(keys).aggregate(wanted)
        columns = [*keys, *(f"{name}_{function}" for name, function in wanted)]
        return made.select(columns).rename_columns(names)

    def of_many(self, tables: Iterable[pa.Table]) -> pa.Table:
        """Returns the same as `of`, and holds at most about three times as many rows."""
        total, waiting, rows = self.schema.empty_table(), list[pa.Table](), 0
        for table in tables:
            waiting.append(table)
            rows += table.num_rows
            if rows > max(total.num_rows, _ROWS):
                total, waiting, rows = self.of([total, *waiting]), [], 0
        return self.of([total, *waiting])
