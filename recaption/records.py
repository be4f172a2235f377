"""The images and the text of records, as request steps send them to a model."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa

from manifests.media import Reference, references
from manifests.record import media_lists


class Caption(NamedTuple):
    """The images and the text of a record. The text is "" if the record has none."""

    images: tuple[Reference, ...]
    text: str


def captions(batch: pa.Table) -> list[Caption | None]:
    """Returns the images and the text of each record; None for a record with roles, several texts
    or a video. `batch` has the columns `content` and `media`."""
    _, flat = media_lists(batch["media"])
    refs, ends = iter(references(flat)), batch["media"].to_pylist()
    media = [[next(refs) for _ in one] for one in ends]
    # A loop over rows: a request to a model costs far more than a row of Python objects.
    return [
        _caption(content, own)
        for content, own in zip(batch["content"].to_pylist(), media, strict=True)
    ]


def _caption(content: list[dict[str, Any]], media: list[Reference]) -> Caption | None:
    texts = [one["text"] for one in content if one["kind"] == "text" and one["text"] is not None]
    if len(texts) > 1 or any(one["role"] or one["kind"] == "video" for one in content):
        return None
    images = tuple(media[one["media"]] for one in content if one["kind"] == "image")
    return Caption(images, texts[0].strip() if texts else "")
