"""Builds records one row at a time, and each row one segment at a time.

Use it for records of several segments, such as conversations and web documents. Records of one
image and one caption are built faster from whole columns (`captions`).

    builder = Builder("chats", "chat")
    row = builder.add("a.json#0", "data/a.json#0", meta='{"split": "train"}')
    row.image(Reference("cat.jpg"), Header("image/jpeg", 640, 480), orientation=1, role="user")
    row.turn("user", "What is this?").turn("assistant", "A cat.")
    table = builder.table()

The table has one record, in `SCHEMA`:

    content: [{kind: image, media: 0, role: user, loss: false},
              {kind: text, text: "What is this?", role: user, loss: false},
              {kind: text, text: "A cat.", role: assistant, loss: true}]
    media:   [{kind: image, uri: cat.jpg, mime: image/jpeg, width: 640, height: 480,
               orientation: 1}]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from manifests.media.header import Header
from manifests.media.reference import Reference
from manifests.record.rows import from_rows


class Builder:
    """Collects records of one source and one modality. `table()` returns all records added so far.

    A record cannot be removed after `add`. So a reader first does everything that can fail (it
    opens the images and parses the text), and then adds the record.
    """

    def __init__(self, source: str, modality: str) -> None:
        self._source, self._modality = source, modality
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self, key: str, origin: str, *, meta: str | None = None, language: str | None = None
    ) -> Row:
        """Add a record without segments. The methods of the returned `Row` then add the segments.

        `key` is unique within the source; the id of the record is made from it. `origin` is the
        place where the record was read, `uri#key`; `meta` is JSON.
        """
        row = Row(key=key, origin=origin, meta=meta, language=language)
        self._rows.append(row)
        return row

    def table(self) -> pa.Table:
        return from_rows([row.columns for row in self._rows], self._source, self._modality)


class Row:
    """A record under construction. Every method returns the `Row`, so calls can be chained."""

    def __init__(self, **columns: str | None) -> None:
        self._content: list[dict[str, Any]] = []
        self._media: list[dict[str, Any]] = []
        self._objects: list[dict[str, Any]] = []
        self._columns = columns

    @property
    def columns(self) -> dict[str, Any]:
        """The record as a dict of columns, which `from_rows` accepts."""
        lists = {"content": self._content, "media": self._media, "objects": self._objects}
        return {**self._columns, **lists}

    def image(
        self,
        reference: Reference,
        header: Header | None = None,
        orientation: int | None = None,
        *,
        camera: Sequence[float] | None = None,
        role: str | None = None,
    ) -> Row:
        """Add an image to the record, and a segment of `content` that shows it. The arguments are
        those of `image_media`."""
        segment = {"kind": "image", "media": len(self._media), "role": role, "loss": False}
        self._content.append(segment)
        self._media.append(image_media(reference, header, orientation, camera))
        return self

    def text(self, text: str, *, role: str | None = None, loss: bool = True) -> Row:
        """Add a text segment. `loss`: whether the training loss includes this text."""
        self._content.append({"kind": "text", "text": text, "role": role, "loss": loss})
        return self

    def turn(self, role: str, text: str) -> Row:
        """Add a turn of a conversation. The training loss includes only turns of the assistant."""
        return self.text(text, role=role, loss=role == "assistant")

    def object(
        self,
        label: str | None = None,
        *,
        media: int = 0,
        box: Sequence[float] | None = None,
        point: Sequence[float] | None = None,
        polygon: Sequence[Sequence[float]] | None = None,
        text: str | None = None,
        attributes: str | None = None,
    ) -> Row:
        """Add an annotated object on image number `media` of the record.

        The coordinates of `box` (x1 y1 x2 y2), `point` (x y) and `polygon` (rings of x y x y ...)
        are in [0,1000]: 1000 is the width or height of the image with its orientation applied.
        `attributes` is JSON.
        """
        self._objects.append(
            {
                "label": label,
                "media": media,
                "box": box,
                "point": point,
                "polygon": polygon,
                "text": text,
                "attributes": attributes,
            }
        )
        return self


def image_media(
    reference: Reference,
    header: Header | None = None,
    orientation: int | None = None,
    camera: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Returns the media struct of an image.

    `orientation` is the Exif number, 1 to 8, or None if the file was not checked for it;
    `camera` is fx fy cx cy in pixels of the image with its orientation applied.
    """
    return {
        "kind": "image",
        **reference._asdict(),
        **(header._asdict() if header else {}),
        "orientation": orientation,
        "camera": camera,
    }
