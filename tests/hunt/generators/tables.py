"""Tables of captions, of any form."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.hunt.forms import (
    ARRAY,
    ARROW,
    COLUMNS,
    CSV,
    LINES,
    PARQUET,
    SEMICOLONS,
    TSV,
    Form,
    count_lines,
)
from tests.hunt.generators.chats import as_messages, turns
from tests.hunt.made import IMAGES, Made
from tests.hunt.rows import RowOf, Rows
from tests.hunt.seen import Seen, caption
from tests.hunt.words import Photo, phrase, plain, some_photos


def _caption(draw: Random, photo: Photo, form: Form, breaks: bool) -> str | None:
    if draw.random() < 0.1:
        return draw.choice((None, "", "  "))
    return phrase(draw, photo.token, breaks=breaks and form is not TSV)


def _shown(text: str | None) -> str | None:
    return text if text and not text.isspace() else None


def table(draw: Random) -> Made:
    form = draw.choice((LINES, ARRAY, CSV, CSV, SEMICOLONS, TSV, PARQUET, ARROW))
    has_images, breaks = draw.random() < 0.6, draw.random() < 0.5
    rows = []
    for photo in some_photos(draw):
        text = _caption(draw, photo, form, breaks)
        value: dict[str, Any] = {"caption": text, "n": photo.width, "more": plain(draw, "more")}
        shown = _shown(text)
        if has_images:
            value["file"] = photo.name
        rows.append(RowOf(value, [caption(photo.name if has_images else None, shown)]))
    settings: dict[str, Any] = {"text": "caption"}
    if has_images:
        settings |= {"image": "file", "media_root": IMAGES}
    if form is TSV:
        settings["quotes"] = "doubled"
    return Rows(form, rows, settings).made(draw)


def url_table(draw: Random) -> Made:
    rows = []
    for photo in some_photos(draw):
        text = _caption(draw, photo, PARQUET, True)
        value = {"uid": photo.token, "url": f"http://a.b/c/{photo.name}", "text": text, "w": 1}
        rows.append(RowOf(value, [caption(photo.name, _shown(text))]))
    return Rows(draw.choice(COLUMNS), rows, {"media_root": IMAGES}).made(draw)


def tsv(draw: Random) -> Made:
    rows = []
    for photo in some_photos(draw):
        text = phrase(draw, photo.token).replace('"', "'").lstrip("[{")
        value = {"caption": text, "url": f"http://a.b/c/{photo.name}"}
        rows.append(RowOf(value, [caption(photo.name, text)]))
    names = draw.choice((("caption", "url"), ("url", "caption")))
    has_header = draw.random() < 0.5

    def encode(values: Sequence[dict[str, Any]], draw: Random) -> bytes:
        lines = [[str(value.get(name, "")) for name in names] for value in values]
        return "".join("\t".join(line) + "\n" for line in [names] * has_header + lines).encode()

    form = Form(draw.choice((".tsv", ".txt")), encode, count_lines)
    return Rows(form, rows, {"media_root": IMAGES}).made(draw)


def hf_parquet(draw: Random) -> Made:
    """Images as structs with captions, or lists of them with chats."""
    rows, is_chat = [], draw.random() < 0.5
    for photo in some_photos(draw):
        value: dict[str, Any]
        image = {"bytes": photo.data, "path": draw.choice((None, photo.name))}
        if draw.random() < 0.3:
            image = {"bytes": None, "path": photo.name}
        if is_chat:
            segments = turns(draw, photo, 1)
            value = {"images": [image], "messages": as_messages(segments)}
            rows.append(RowOf(value, [Seen(tuple(segments))]))
        else:
            text = _caption(draw, photo, PARQUET, True)
            value = {"image": image, "caption": text, "n": 1}
            rows.append(RowOf(value, [caption(photo.name, _shown(text))]))
    return Rows(draw.choice(COLUMNS), rows, {"media_root": IMAGES}).made(draw)


def img2dataset_parquet(draw: Random) -> Made:
    rows = []
    for photo in some_photos(draw):
        text = _caption(draw, photo, PARQUET, True)
        value = {"caption": text, "url": "http://a/b", "status": "success", "jpg": photo.data}
        rows.append(RowOf(value, [caption(photo.name, _shown(text))]))
    return Rows(draw.choice(COLUMNS), rows, {}).made(draw)


MAKERS = {
    "table": table,
    "url_table": url_table,
    "tsv": tsv,
    "hf_parquet": hf_parquet,
    "img2dataset_parquet": img2dataset_parquet,
}
