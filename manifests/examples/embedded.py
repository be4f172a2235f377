"""Embeds items with the step that embedded the records, so that both have the same model."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple, NoReturn

import numpy as np

from manifests import record
from manifests.errors import InputError
from manifests.examples.images import ItemImage, ItemMedia
from manifests.examples.items import Item
from manifests.step import Columns, Context, Measured, RequestStep, RowStep, Step, Worker
from manifests.vectors.units import Units, dimensions_of, present_units, units_of

_ITEMS_AT_ONCE = 64
"""How many texts and images of items are held in memory at once (our choice)."""


class EmbeddedItems(NamedTuple):
    """The vectors of items, and the number of each vector's item, (n,) int32, ascending."""

    units: Units
    items: np.ndarray


def checked_embedder(maker: Step) -> RowStep:
    """Returns the step unchanged. Raises ValueError for a corpus step or a request step, because
    these steps cannot embed items that are not in the corpus."""
    if isinstance(maker, RequestStep) or not isinstance(maker, RowStep):
        raise ValueError("this step can embed only records of the corpus")
    return maker


class ItemEmbedder:
    """Embeds items one by one: each text and each image of an item has a vector of its own.

    `step` is the step that makes the records' column of vectors, and `measure` the name of the
    column in it (`vector`).
    """

    def __init__(self, step: RowStep, measure: str, worker: Worker) -> None:
        self._step, self._measure, self._worker = step, measure, worker
        self._model = step.load(worker)
        self._rows: list[dict[str, Any]] = []
        self._images: list[ItemImage] = []
        self._owners: list[tuple[int, str]] = []
        self._units: list[Units] = []
        self._items: list[np.ndarray] = [np.empty(0, np.int32)]

    def add(self, number: int, item: Item) -> None:
        """Embeds the texts of an item if the step reads texts, and its images if it reads
        images. Raises InputError if the step fails."""
        if "content" in self._step.reads():
            for text in item.texts:
                content = [{"kind": "text", "text": text, "loss": True}]
                self._append(number, item.place, content=content, media=[])
        if "media" in self._step.reads():
            for source in item.images:
                own = {"kind": "image", "uri": str(len(self._images))}
                self._images.append(ItemImage(number, source, item.place))
                self._append(number, item.place, content=[], media=[own])

    def _append(self, number: int, place: str, **columns: Any) -> None:
        self._rows.append({"key": str(len(self._rows)), **columns})
        self._owners.append((number, place))
        if len(self._rows) >= _ITEMS_AT_ONCE:
            self._embed()

    def _embed(self) -> None:
        if not self._rows:
            return
        side = self._step.images()
        media = ItemMedia(self._images, self._worker.limits, side.min_side if side else None)
        batch = record.from_rows(self._rows, "", "caption").select(self._step.reads())
        with contextlib.closing(media):
            made = self._step.measure(batch, Context(media, _refuse, model=self._model))
        columns = self._checked(made)
        dimensions = dimensions_of(columns[self._measure], "of")
        if dimensions is not None:
            present = present_units(columns[self._measure], dimensions)
            owners = np.array([number for number, _ in self._owners], np.int32)
            self._units.append(present.units)
            self._items.append(owners[present.rows])
        self._rows, self._images, self._owners = [], [], []

    def _checked(self, made: Columns | Measured) -> Columns:
        """Returns the columns that the step made; raises InputError for the first failed item."""
        columns, errors = made if isinstance(made, Measured) else (made, None)
        messages: list[str | None] = errors.table["message"].to_pylist() if errors else []
        for (_, place), message in zip(self._owners, messages, strict=False):
            if message is not None:
                raise InputError(
                    f"this item cannot be embedded: {message}", place,
                    "Replace or remove the item.",
                )  # fmt: skip
        return columns

    def finish(self) -> EmbeddedItems:
        """Returns the vectors of all items, and frees the memory of the model."""
        self._embed()
        if hasattr(self._model, "close"):
            self._model.close()
        if not self._units:
            return EmbeddedItems(units_of(np.empty((0, 0), np.float32)), self._items[0])
        units = Units(*map(np.concatenate, zip(*self._units, strict=True)))
        return EmbeddedItems(units, np.concatenate(self._items))


def _refuse(data: bytes | memoryview) -> NoReturn:
    raise InputError(
        "the step that embeds the items stores bytes, but bytes can be stored only for records",
        "examples",
    )


def nothing_embedded(what: str, column: str, reads: tuple[str, ...], place: str) -> InputError:
    """Returns the error for the case that no item has a vector."""
    wanted = "images" if "media" in reads else "texts"
    return InputError(
        f"{what}: the step that makes '{column}' embeds {wanted}, and no item has one.", place,
        f"Name files of {wanted}, or another column of embeddings.",
    )  # fmt: skip
