"""Folders of many files: images with captions, and an annotation file for each image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any
from xml.sax.saxutils import escape

from tests.hunt import damage
from tests.hunt.generators.annotations import NAMES, corners, triangle
from tests.hunt.made import IN, Made
from tests.hunt.per_image import FileOf, PerImage
from tests.hunt.seen import SeenObject, caption
from tests.hunt.words import Photo, phrase, plain, some_photos


def _odd_json(data: bytes, draw: Random) -> bytes:
    change = draw.choice((damage.with_an_odd_field, damage.without_a_field))
    return json.dumps(change(json.loads(data), draw)).encode()


def folder(draw: Random) -> Made:
    files = []
    for photo in some_photos(draw):
        where = draw.choice(("", "b/", "deep/er/"))
        key = f"{where}{photo.token}"
        text, kind = phrase(draw, photo.token, breaks=True), draw.choice(("txt", "json", ""))
        record = caption(photo.name, text if kind else None)
        files.append(FileOf(f"{where}{photo.name}", photo.data, [record]))
        if kind == "txt":
            files.append(FileOf(f"{key}.txt", text.encode(), [record]))
        elif kind == "json":
            fields = json.dumps({"caption": text, "more": 1}).encode()
            files.append(FileOf(f"{key}.json", fields, [record]))
    return PerImage(files, {}).made(draw)


def labelme(draw: Random) -> Made:
    files = []
    for photo in some_photos(draw):
        shapes, objects = [], []
        for _ in range(draw.choice((0, 1, 1, 3))):
            shape, found = _shape(draw, photo)
            shapes.append(shape)
            objects.append(found)
        content: dict[str, Any] = {
            "version": "5.0", "flags": {}, "shapes": shapes, "imagePath": f"..\\x\\{photo.name}",
            "imageData": None, "imageWidth": photo.width, "imageHeight": photo.height,
        }  # fmt: skip
        data = json.dumps(content, indent=draw.choice((None, 2))).encode()
        record = caption(photo.name, None, tuple(objects))
        files.append(FileOf(f"{photo.token}.json", data, [record]))
    return PerImage(files, {"media_root": "images"}, changed=_odd_json).made(draw)


def _shape(draw: Random, photo: Photo) -> tuple[dict[str, Any], SeenObject]:
    label, kind = draw.choice(NAMES), draw.choice(("rectangle", "polygon", "point"))
    x1, y1, x2, y2 = corners(draw, photo)
    found, points = SeenObject(label, box=photo.box(x1, y1, x2, y2)), [[x2, y1], [x1, y2]]
    if kind == "polygon":
        ring, seen = triangle(draw, photo)
        points = [ring[n : n + 2] for n in range(0, len(ring), 2)]
        found = SeenObject(label, polygon=(seen,))
    elif kind == "point":
        points, found = [[x1, y1]], SeenObject(label, point=photo.box(x1, y1, 0, 0)[:2])
    shape: dict[str, Any] = {
        "label": label,
        "points": points,
        "shape_type": kind,
        "group_id": None,
        "flags": {},
    }
    return shape, found


def yolo(draw: Random) -> Made:
    files = []
    for photo in some_photos(draw):
        rows = [_yolo_line(draw) for _ in range(draw.choice((0, 1, 1, 3)))]
        data = draw.choice(("\n", "\r\n")).join(line for line, _ in rows)
        record = caption(photo.name, None, tuple(found for _, found in rows))
        files.append(FileOf(f"{photo.token}.txt", data.encode(), [record]))
    if any(one.data for one in files):
        files.append(FileOf("classes.txt", "\n".join(NAMES).encode(), [], 0))
        return PerImage(files, {"media_root": "images"}).made(draw)
    return yolo(draw)


def _yolo_line(draw: Random) -> tuple[str, SeenObject]:
    number = draw.randrange(len(NAMES))
    x1, y1 = draw.randrange(0, 400), draw.randrange(0, 400)
    x2, y2 = x1 + 2 * draw.randrange(1, 300), y1 + 2 * draw.randrange(1, 300)
    if draw.random() < 0.3:
        ring = [x1, y1, x2, y1, x2, y2, x1, y2]
        found = SeenObject(NAMES[number], polygon=(tuple(float(n) for n in ring),))
        return f"{number} " + " ".join(f"{n / 1000:.4f}" for n in ring), found
    box = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
    found = SeenObject(NAMES[number], box=tuple(map(float, (x1, y1, x2, y2))))
    more = " 0.75" if draw.random() < 0.2 else ""
    return f"{number} " + " ".join(f"{n / 1000:.4f}" for n in box) + more, found


def voc(draw: Random) -> Made:
    files = []
    for photo in some_photos(draw):
        names = draw.choices(NAMES, k=draw.choice((0, 1, 3)))
        found = [_voc_object(draw, photo, name) for name in names]
        record = caption(photo.name, None, tuple(one for _, one in found))
        data = _voc_file(photo, [text for text, _ in found])
        files.append(FileOf(f"{photo.token}.xml", data, [record]))
    return PerImage(files, {"media_root": "images"}, changed=_odd_xml).made(draw)


def _voc_object(draw: Random, photo: Photo, name: str) -> tuple[str, SeenObject]:
    """An object in XML; the first pixel has the number 1, and the last is inside."""
    x1, y1, x2, y2 = corners(draw, photo)
    sides = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
    box = "".join(f"<{side}>{value}</{side}>" for side, value in sides.items())
    text = f"<object><name>{escape(name)}</name><bndbox>{box}</bndbox></object>"
    return text, SeenObject(name, box=photo.box(x1, y1, x2, y2))


def _voc_file(photo: Photo, objects: Sequence[str]) -> bytes:
    size = f"<size><width>{photo.width}</width><height>{photo.height}</height></size>"
    name = f"<filename>{photo.name}</filename>"
    return f"<annotation>{name}{size}{''.join(objects)}</annotation>\n".encode()


def _odd_xml(data: bytes, draw: Random) -> bytes:
    """The text of one element replaced."""
    parts = data.split(b"<")
    at = draw.randrange(1, len(parts))
    tag = parts[at].partition(b">")[0]
    parts[at] = tag + b">" + draw.choice((b"", b"nan", b"-5", b"1e400", b"x", b"9" * 400, b"&lt;"))
    return b"<".join(parts)


def flickr30k_entities(draw: Random) -> Made:
    files = []
    for photo in some_photos(draw):
        entity, label = draw.randrange(1, 99), draw.choice(("people", "animals"))
        words, rest = f"A {photo.token}", plain(draw, photo.token)
        objects = [_voc_object(draw, photo, str(entity)) for _ in range(draw.choice((1, 1, 2)))]
        shown = tuple(one._replace(label=label, text=words) for _, one in objects)
        record = caption(photo.name, f"{words} {rest} .", shown)
        data = _voc_file(photo, [text for text, _ in objects])
        sentences = f"[/EN#{entity}/{label} {words}] {rest} .\n".encode()
        files.append(FileOf(f"Annotations/{photo.token}.xml", data, [record]))
        files.append(FileOf(f"Sentences/{photo.token}.txt", sentences, [record], 0))
    path = f"{IN}/Annotations"
    settings = {"media_root": "images"}
    return PerImage(files, settings, path, _odd_xml_only, mixes=True).made(draw)


def _odd_xml_only(data: bytes, draw: Random) -> bytes:
    return _odd_xml(data, draw) if data.startswith(b"<") else data[1:]


MAKERS = {
    "folder": folder,
    "labelme": labelme,
    "yolo": yolo,
    "voc": voc,
    "flickr30k_entities": flickr30k_entities,
}
