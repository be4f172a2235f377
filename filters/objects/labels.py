"""Labels of objects: written in one way, renamed, and those that are not wanted removed."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from filters.objects.rules.emptied_records import Empty, emptied_records
from filters.objects.rules.label_names import normalised, read_names
from manifests import storage
from manifests.errors import InputError
from manifests.media import Media
from manifests.record.objects import count_objects, edit_objects, flat_objects
from manifests.step import Outcome, RowStep


class Labels(RowStep):
    """Write the labels of objects in one way, rename some, and remove objects by their label.

    First every label is brought to Unicode's form NFC and runs of whitespace and underscores
    become a space, at the ends nothing; `fold` makes capitals small. Then `rename`, by a mapping
    here or in a file, whose names are found however they are written. Last `keep` or `drop`,
    which compare in the same way. A label that is empty after this is none; objects without one
    stay, unless `unlabelled: drop` or a `keep` list.

    The file is YAML or JSON of `old: new`, or CSV or TSV of two columns without a header.

    Counted are objects: those whose label is `changed`, those removed as `unlabelled` and as
    `unwanted`.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        name: pa.int32() for name in ("changed", "unlabelled", "unwanted")
    }
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    fold: bool = Field(False, description="make capitals small")
    rename: dict[str, str] = Field({}, description="new labels by the old ones")
    rename_file: str | None = Field(
        None, description="a file of them; relative paths start where the run does"
    )
    keep: tuple[str, ...] | None = Field(None, description="labels that stay; null: all")
    drop: tuple[str, ...] = Field((), description="labels that go")
    unlabelled: Literal["keep", "drop"] = Field(
        "keep", description="what becomes of objects without a label"
    )
    empty: Empty = "drop"

    @model_validator(mode="after")
    def _tellable(self) -> Labels:
        if self.rename and self.rename_file:
            raise ValueError("give rename or rename_file, not both")
        if fault := _conflict(self.rename):
            raise ValueError(f"rename: {fault}")
        if self.keep is not None and self.drop:
            raise ValueError("give keep or drop, not both: what is not kept goes")
        return self

    def files(self, base: str) -> tuple[str, ...]:
        return () if self.rename_file is None else (storage.resolve(base, self.rename_file),)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        old = objects.field("label")
        coded = pc.dictionary_encode(old)
        names = self._renamed(normalised(coded.dictionary, self.fold), self._names(media))
        new = names.take(coded.indices)
        unlabelled = np.asarray(new.is_null()) & (self.unlabelled == "drop")
        unwanted = self._unwanted(names, coded.indices) & ~unlabelled
        changed = _differ(old, new)
        stays = ~(unlabelled | unwanted)
        fields = {"label": new} if changed.any() else {}
        masks = {"changed": changed, "unlabelled": unlabelled, "unwanted": unwanted}
        records = batch.num_rows
        columns = {name: count_objects(objects, mask, records) for name, mask in masks.items()}
        columns["objects"] = edit_objects(batch["objects"], stays, **fields)
        return Outcome(columns, emptied_records(objects, stays, records, self.empty))

    def _names(self, media: Media) -> dict[str, str]:
        if self.rename_file is None:
            return self.rename
        place = media.resolve(self.rename_file)
        names = read_names(place)
        if fault := _conflict(names):
            raise InputError(fault, place, "Leave one of them.")
        return names

    def _renamed(self, labels: pa.Array, names: dict[str, str]) -> pa.Array:
        """The labels with new names, null where nothing is left of one."""
        if names:
            olds = normalised(pa.array(list(names), pa.string()), fold=True)
            found = pc.index_in(pc.utf8_lower(labels), olds)
            given = pa.array(list(names.values()), pa.string()).take(found)
            labels = pc.coalesce(given, labels)
        return pc.if_else(pc.equal(labels, ""), None, labels)

    def _unwanted(self, names: pa.Array, codes: pa.Array) -> np.ndarray:
        """(n,) bool: which objects are not on the list of those that stay, or on that of others."""
        listed = normalised(pa.array(self.drop if self.keep is None else self.keep, pa.string()))
        on_list = pc.is_in(normalised(names), listed).take(codes).fill_null(False)
        return np.asarray(on_list) if self.keep is None else ~np.asarray(on_list)


def _differ(a: pa.Array, b: pa.Array) -> np.ndarray:
    same = pc.equal(a, b).fill_null(False)
    both_none = pc.and_(a.is_null(), b.is_null())
    return ~np.asarray(pc.or_(same, both_none))


def _conflict(names: dict[str, str]) -> str | None:
    """What is wrong with a mapping that gives one label two names."""
    olds = normalised(pa.array(list(names), pa.string())).to_pylist()
    first: dict[str, str] = {}
    for old, name in zip(olds, names, strict=True):
        if names[first.setdefault(old, name)] != names[name]:
            return f"{first[old]!r} and {name!r} are one label with two new names"
    return None
