"""The step `labels`: normalises and renames labels, and removes objects by label."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from filters.objects.rules.emptied_records import Empty, emptied_records
from filters.objects.rules.label_names import normalise, read_renames
from manifests import storage
from manifests.errors import InputError
from manifests.media import Media
from manifests.record.objects import count_objects, edit_objects, flat_objects
from manifests.step import Bound, Columns, Context, Location, RowStep


class Labels(RowStep):
    """Normalise the labels of objects, rename some, and remove objects by their label.

    The step works in this order:

    1. Each label is converted to Unicode's form NFC; runs of whitespace and underscores become one
       space, and are removed at both ends. `fold` also converts the label to lower case. So
       `traffic_light ` becomes `traffic light`.
    2. `rename` gives labels new names, by a mapping in the recipe or in a file. Old names are
       compared in the normalised form and in lower case.
    3. `keep` or `drop` removes objects; labels are compared in the same way.

    An object whose label is empty after these changes counts as an object without a label. Objects
    without a label stay, unless `unlabelled: drop` or a `keep` list is set. The file is YAML or
    JSON of `old: new`, or CSV or TSV with two columns and no header.

    The measures count the objects of each record: `changed` (the label was changed), `unlabelled`
    (removed by `unlabelled: drop`) and `unwanted` (removed by `keep` or `drop`).
    """

    version: ClassVar[int] = 2
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    fold: bool = Field(False, description="make labels lower case")
    rename: dict[str, str] = Field({}, description="a mapping of old labels to new labels")
    rename_file: Annotated[str | None, Location()] = Field(
        None,
        description="a file of old labels and new labels; a relative path starts at the working "
        "folder of the run",
    )
    keep: tuple[str, ...] | None = Field(None, description="only these labels stay; null: all")
    drop: tuple[str, ...] = Field((), description="labels whose objects are removed")
    unlabelled: Literal["keep", "drop"] = Field(
        "keep",
        description="keep or remove objects without a label; with a `keep` list they are removed",
    )
    empty: Annotated[Empty, Bound()] = "drop"

    @model_validator(mode="after")
    def _check_settings(self) -> Labels:
        if self.rename and self.rename_file:
            raise ValueError("set rename or rename_file, not both")
        if fault := _conflict(self.rename):
            raise ValueError(f"rename: {fault}")
        if self.keep is not None and self.drop:
            raise ValueError(
                "set keep or drop, not both: keep already removes every label that it does not list"
            )
        return self

    def files(self, base: str) -> tuple[str, ...]:
        return () if self.rename_file is None else (storage.resolve(base, self.rename_file),)

    def reads(self) -> tuple[str, ...]:
        return ("objects",)

    def measures(self) -> dict[str, pa.DataType]:
        return dict.fromkeys(("changed", "unlabelled", "unwanted"), pa.int32())

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        objects = flat_objects(batch["objects"])
        old = objects.field("label")
        coded = pc.dictionary_encode(old)
        names = self._renamed(normalise(coded.dictionary, self.fold), self._names(context.media))
        new = names.take(coded.indices)
        unlabelled = np.asarray(new.is_null()) & (self.unlabelled == "drop")
        unwanted = self._unwanted(names, coded.indices) & ~unlabelled
        changed = _differ(old, new)
        keep = ~(unlabelled | unwanted)
        fields = {"label": new} if changed.any() else {}
        masks = {"changed": changed, "unlabelled": unlabelled, "unwanted": unwanted}
        records = batch.num_rows
        columns = {name: count_objects(objects, mask, records) for name, mask in masks.items()}
        return columns | {"objects": edit_objects(batch["objects"], keep, **fields)}

    def decide(self, measured: pa.Table) -> pa.Array | None:
        removed = (measured["unlabelled"], measured["unwanted"])
        return emptied_records(measured["objects"], self.empty, *removed)

    def _names(self, media: Media) -> dict[str, str]:
        if self.rename_file is None:
            return self.rename
        place = media.resolve(self.rename_file)
        names = read_renames(place)
        if fault := _conflict(names):
            raise InputError(fault, place, "Remove one of the two labels.")
        return names

    def _renamed(self, labels: pa.Array, names: dict[str, str]) -> pa.Array:
        """Returns the labels with their new names. `names` is a dict from old name to new name,
        from the setting `rename` or `rename_file`; a label that is not in `names` stays. An empty
        label becomes null."""
        if names:
            olds = normalise(pa.array(list(names), pa.string()), fold=True)
            found = pc.index_in(pc.utf8_lower(labels), olds)
            given = pa.array(list(names.values()), pa.string()).take(found)
            labels = pc.coalesce(given, labels)
        return pc.if_else(pc.equal(labels, ""), None, labels)

    def _unwanted(self, names: pa.Array, codes: pa.Array) -> np.ndarray:
        """Returns a mask (n,) of the objects whose label is not in the setting `keep`, or is in
        `drop`. Object i has the label names[codes[i]]."""
        listed = normalise(pa.array(self.drop if self.keep is None else self.keep, pa.string()))
        on_list = pc.is_in(normalise(names), listed).take(codes).fill_null(False)
        return np.asarray(on_list) if self.keep is None else ~np.asarray(on_list)


def _differ(a: pa.Array, b: pa.Array) -> np.ndarray:
    same = pc.equal(a, b).fill_null(False)
    both_null = pc.and_(a.is_null(), b.is_null())
    return ~np.asarray(pc.or_(same, both_null))


def _conflict(names: dict[str, str]) -> str | None:
    """Returns the error text if two spellings of one label in `names`, a dict from old to new
    label, get different new labels; None otherwise."""
    olds = normalise(pa.array(list(names), pa.string())).to_pylist()
    first: dict[str, str] = {}
    for old, name in zip(olds, names, strict=True):
        if names[first.setdefault(old, name)] != names[name]:
            return f"{first[old]!r} and {name!r} are the same label, but get different new names"
    return None
