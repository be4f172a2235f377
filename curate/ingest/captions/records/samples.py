"""Collects samples, each of one or more images and one caption, into a batch of records."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curate.ingest.captions.records.rows import add_caption
from curate.ingest.captions.records.sidecars import Description
from curate.ingest.images import OpenedImage
from curate.ingest.reader import BATCH_ROWS, SPLIT_BYTES
from manifests import record


class Samples:
    """Collects the samples of one batch, until `is_full` is true, and makes their records."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: list[str] = []
        self._origins: list[str] = []
        self._descriptions: list[Description] = []
        self._images: list[list[OpenedImage]] = []
        self._chats: list[dict[str, Any]] = []
        self._characters = 0

    def add_row(self, key: str, origin: str, columns: dict[str, Any]) -> None:
        """Adds a sample that is not a caption, such as a chat. `columns` has the other columns of
        its record, with the modality, in the form that `record.from_rows` takes."""
        self._chats.append({"key": key, "origin": origin, **columns})
        self._characters += sum(len(segment["text"] or "") for segment in columns["content"])

    def add(
        self, key: str, origin: str, description: Description, images: list[OpenedImage]
    ) -> None:
        self._keys.append(key)
        self._origins.append(origin)
        self._descriptions.append(description)
        self._images.append(images)
        self._characters += len(description.text or "") + len(description.meta or "")

    @property
    def is_full(self) -> bool:
        rows = len(self._keys) + len(self._chats)
        return rows >= BATCH_ROWS or self._characters >= SPLIT_BYTES

    def records(self) -> pa.Table:
        """Returns the records of the samples: first the captions, then all other samples. If every
        sample has exactly one image, the captions are converted column by column, which is faster
        and gives the same records."""
        captions = self._captions()
        return pa.concat_tables([captions, self._others()]) if self._chats else captions

    def _others(self) -> pa.Table:
        table = record.from_rows(self._chats, self._source, "chat")
        modality = pa.array([row["modality"] for row in self._chats], pa.string())
        return table.set_column(table.schema.names.index("modality"), "modality", modality)

    def _captions(self) -> pa.Table:
        if all(len(images) == 1 for images in self._images):
            return self._from_columns()
        return self._from_rows()

    def _from_columns(self) -> pa.Table:
        return record.captions(
            self._source,
            self._keys,
            pa.array(self._origins, pa.string()),
            pa.array([description.text for description in self._descriptions], pa.string()),
            record.ImageColumns.from_images([image for [image] in self._images]),
            pa.array([description.meta for description in self._descriptions], pa.string()),
        )

    def _from_rows(self) -> pa.Table:
        builder = record.Builder(self._source, "caption")
        samples = zip(self._keys, self._origins, self._descriptions, self._images, strict=True)
        for key, origin, description, images in samples:
            row = builder.add(key, origin, meta=description.meta)
            add_caption(row, description.text, images)
        return builder.table()
