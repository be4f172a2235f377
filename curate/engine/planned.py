"""A step as a recipe uses it: its name in this run, its settings, and the rows that it
processes."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import record, storage
from manifests.errors import StepError
from manifests.step import (
    Bound,
    Columns,
    CorpusStep,
    Location,
    RequestStep,
    ReshapeStep,
    Resources,
    RowStep,
    Step,
)
from manifests.storage.digest import file_digest


class PlannedStep(NamedTuple):
    """A step of this run. `name` is unique in the run: the step's key, with -2, -3 at its end if
    the recipe uses the step again.

    `only` has, for each column, the values of the rows that the step processes; None means all
    rows. `required_steps` are the names, in this run, of the row steps that a corpus step needs.
    `place` is the path of the step's settings in the recipe; it is empty for a step that was added
    because a corpus step needs it.
    """

    name: str
    step: Step
    only: dict[str, list[Any]] | None = None
    required_steps: dict[str, str] | None = None
    place: tuple[str | int, ...] = ()

    @property
    def shape(self) -> str:
        """The kind of the step: `row`, `request`, `reshape` or `corpus`."""
        shapes = {
            "request": RequestStep,  # which is a RowStep too
            "row": RowStep,
            "corpus": CorpusStep,
            "reshape": ReshapeStep,
        }
        return next(shape for shape, kind in shapes.items() if isinstance(self.step, kind))

    @property
    def costs(self) -> bool:
        """Whether the step is costly. A costly step has its own passes, and its measures are
        stored."""
        return isinstance(self.step, RowStep) and self.step.costs

    @property
    def loads(self) -> bool:
        """True if every worker must set up the step before its first batch, for example load a
        model."""
        needs = self.step.resources() != Resources()
        return needs or type(self.step).load is not Step.load

    @property
    def measures(self) -> dict[str, pa.DataType]:
        """The types of the step's measures, by the names that the measures have in this run, such
        as `words-2.count`."""
        return {f"{self.name}.{m}": kind for m, kind in self.step.measures().items()}

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the step reads, by the names that they have in this run: if the step
        `words` has the name `words-2` in this run, because the recipe uses it twice, its column is
        `words-2.count`."""
        return tuple(self.in_run(column) for column in self.step.reads())

    def in_run(self, column: str) -> str:
        """Returns the name that a column has in this run, given the name that the step uses for the
        column: `words.count` -> `words-2.count` if the step `words` has the name `words-2` in this
        run."""
        step, _, measure = column.partition(".")
        known = (self.required_steps or {}).get(step)
        return f"{known}.{measure}" if known else column

    def seed(self, recipe_seed: int) -> int:
        """Returns the seed of the step: a hash of the step's name and the recipe's seed, so that
        two steps draw different numbers.

        If the step does not declare that it uses a seed, 0 takes the place of the recipe's seed.
        """
        own = recipe_seed if type(self.step).uses_seed else 0
        text = f"{self.name}\0{own}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")

    def identity(self, base: str, recipe_seed: int, bounds: bool = True) -> dict[str, Any]:
        """All values that determine the step's results: its name, class, kind and version, the
        columns that it rewrites, its settings and `only`, the digests of the files that it loads,
        its models, and the recipe's seed if the step uses a seed.

        `base` is the folder that relative paths start from. Settings marked `Location`, such as
        paths and endpoints, are left out. If `bounds` is false, settings marked `Bound` are also
        left out, because the step's measures do not depend on them.
        """
        kind = type(self.step)
        left_out = {*kind.marked(Location), *(() if bounds else kind.marked(Bound))}
        return {
            "name": self.name,
            "kind": f"{kind.__module__}:{kind.__qualname__}",
            "shape": self.shape,
            "rewrites": list(kind.rewrites),
            "version": kind.version,
            "parameters": self.step.model_dump(mode="json", exclude=left_out),
            "only": self.only,
            "files": self.file_digests(base),
            "models": [list(model) for model in self.step.models(base)],
            "seed": recipe_seed if kind.uses_seed else None,
        }

    def file_digests(self, base: str) -> list[str]:
        """The digests of the files that the step's results depend on. `base` is the folder that
        relative paths of these files start from."""
        return [_digest(uri) for uri in self.step.files(base)]

    def without_bounds(self) -> Step:
        """Returns the copy of the step whose method `measure` is called. In the copy, the settings
        marked `Bound` have their default values."""
        fields = type(self.step).model_fields
        bounds = type(self.step).marked(Bound)
        defaults = {name: fields[name].get_default(call_default_factory=True) for name in bounds}
        return self.step.model_copy(update=defaults) if bounds else self.step

    def row_mask(self, batch: pa.Table) -> np.ndarray | None:
        """Returns bool (rows,): true for the rows that the step's `only` selects; None if the step
        has no `only`."""
        if self.only is None:
            return None
        mask = np.ones(batch.num_rows, bool)
        for column, allowed in self.only.items():
            if column not in batch.column_names:
                raise StepError(
                    f"`only` names the column '{column}', which the rows do not have",
                    f"steps.{self.name}.only",
                    f"The columns of the rows are: {', '.join(batch.column_names)}.",
                )  # fmt: skip
            mask &= selected(batch, column, allowed, f"steps.{self.name}.only")
        return mask

    def given(self, batch: pa.Table, columns: tuple[str, ...] = ()) -> pa.Table:
        """Returns the columns of a batch that the step reads, with the names that the step uses.
        `columns` are further columns, which come first and keep their names."""
        declared = self.step.reads()
        names = [*columns, *(c for c in self.reads if c not in columns)]
        own = [*columns, *(c for c in declared if c not in columns)]
        return batch.select(names).rename_columns(own)

    def columns(self, given: Columns, rows: int) -> Columns:
        """Convert the columns that the step returned to the names that they have in this run, and
        to the declared types.

        Raises StepError if a column is missing, is not declared, or does not have `rows` values.
        """
        rewrites = {name: record.SCHEMA.field(name).type for name in self.step.rewrites}
        expected = {**self.step.measures(), **rewrites}
        if set(given) != set(expected):
            names, declared = sorted(given), sorted(expected)
            raise StepError(
                f"the step returned the columns {names}, but it declares {declared}",
                f"step {self.name}",
            )
        return {
            name if name in rewrites else f"{self.name}.{name}": self.values(
                given[name], name, rows
            ).cast(kind)
            for name, kind in expected.items()  # the declared order, not the returned one
        }

    def values(self, value: pa.Array, name: str, rows: int) -> pa.Array:
        """Return the values that the step returned as `name`, as one array. Raises StepError unless
        there is one value for each row."""
        if not hasattr(value, "combine_chunks") and not isinstance(value, pa.Array):
            kind = type(value).__name__
            raise StepError(
                f"the step returned '{name}' as a {kind} instead of an Arrow array",
                f"step {self.name}",
                "Make the array with pa.array(values, type).",
            )  # fmt: skip
        if len(value) != rows:
            raise StepError(
                f"the step returned {len(value)} values of '{name}' for {rows} rows",
                f"step {self.name}",
            )
        return record.one_chunk(value)

    def reasons(self, drop: pa.Array | None, rows: int) -> pa.Array:
        """Returns string (rows,): the drop reason of each row, null for a row that stays. `drop` is
        what the step returned: an array of drop reasons, or None if all rows stay. Raises StepError
        if `drop` has another type or number of values."""
        if drop is None:
            return pa.nulls(rows, pa.string())
        found = self.values(drop, "drop", rows)
        if not (pa.types.is_string(found.type) or pa.types.is_null(found.type)):
            raise StepError(
                f"the drop reasons that the step returned are {found.type}, not text",
                f"step {self.name}",
                "Make the drop reasons with reasons(rows, (mask, 'the reason')).",
            )  # fmt: skip
        return found.cast(pa.string())


def selected(batch: pa.Table, column: str, allowed: list[Any], place: str) -> np.ndarray:
    """Returns bool (rows,): true for the rows whose value in `column` is one of `allowed`. Errors
    name `place`, the place of these values in the recipe."""
    kind = batch.schema.field(column).type
    try:
        values = pa.array(allowed, from_pandas=False).cast(kind)
        return np.asarray(pc.is_in(batch[column], values))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        raise StepError(
            f"the column '{column}' has the type {kind}, which cannot be compared with the values "
            f"{allowed} in `only`",
            place,
            f"Write values of the type {kind} in `only`.",
        ) from None


def _digest(uri: str) -> str:
    return _digest_of_version(uri, storage.size_and_stamp(uri))


@lru_cache(maxsize=4096)
def _digest_of_version(uri: str, size_and_stamp: tuple[int, int] | None) -> str:
    """The digest of a file. If the function is called again with the same uri, size and
    modification time, the file is not read again."""
    return file_digest(uri)


def part_schema(steps: list[PlannedStep]) -> pa.Schema:
    """The columns of a part after these steps: the columns of a record, then the measures of each
    step."""
    fields = list(record.SCHEMA)
    fields += [pa.field(n, t) for s in steps for n, t in s.measures.items()]
    return pa.schema(fields)
