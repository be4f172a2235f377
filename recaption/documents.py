"""The text and the images of records, in order, as request steps send them to a model."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa

from manifests.media import Reference, references
from manifests.record import media_lists

IMAGE_LEFT_OUT, TEXT_LEFT_OUT = "[image left out]", "[text left out]"
"""The texts that a model sees in place of an image or of text that is not sent (our wording)."""


class Document(NamedTuple):
    """The texts and the images of a record that are sent to a model, in order, and how many images
    and characters of the record are left out."""

    parts: tuple[str | Reference, ...]
    images_left_out: int = 0
    characters_left_out: int = 0

    @property
    def text(self) -> str:
        return "\n\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def has_image(self) -> bool:
        return any(isinstance(part, Reference) for part in self.parts)

    def without_images(self) -> Document:
        marks = (IMAGE_LEFT_OUT,)
        texts = tuple(part for part in self.parts if isinstance(part, str) and part not in marks)
        return self._replace(parts=texts)


def documents(batch: pa.Table, max_images: int, max_chars: int) -> list[Document | None]:
    """Returns the document of each record; None for a record with roles or a video. `batch` has the
    columns `content` and `media`.

    The first `max_images` images and the first `max_chars` characters are kept. Each further image
    is replaced by the text `IMAGE_LEFT_OUT`, and all further characters by one `TEXT_LEFT_OUT`.
    """
    offsets, flat = media_lists(batch["media"])
    refs = references(flat)
    # A loop over rows: a request to a model costs far more than a row of Python objects.
    return [
        _document(content, refs[start:end], max_images, max_chars)
        for content, start, end in zip(
            batch["content"].to_pylist(), offsets[:-1], offsets[1:], strict=True
        )
    ]


def _document(
    content: list[dict[str, Any]], media: list[Reference], max_images: int, max_chars: int
) -> Document | None:
    if any(one["role"] or one["kind"] == "video" for one in content):
        return None
    parts, images, characters = list[str | Reference](), 0, 0
    for one in content:
        if one["kind"] == "image":
            parts.append(media[one["media"]] if images < max_images else IMAGE_LEFT_OUT)
            images += 1
        elif text := (one["text"] or "").strip():
            room = max_chars - characters
            if room > 0:
                parts.append(text[:room])
            if 0 <= room < len(text):
                parts.append(TEXT_LEFT_OUT)
            characters += len(text)
    return Document(tuple(parts), max(images - max_images, 0), max(characters - max_chars, 0))
