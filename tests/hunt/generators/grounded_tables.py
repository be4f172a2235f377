"""Files with a row or element for each annotated image."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from tests.hunt.forms import ARRAY, COLUMNS, JSON, LINES, Form
from tests.hunt.generators.annotations import NAMES, corners
from tests.hunt.made import IMAGES, Made
from tests.hunt.rows import RowOf, Rows
from tests.hunt.seen import SeenObject, caption
from tests.hunt.words import phrase, some_photos

_FORMS = (*JSON, *COLUMNS)


def grit(draw: Random) -> Made:
    """Boxes in fractions, of parts of the caption."""
    rows = []
    for photo in some_photos(draw):
        text, expressions, objects = phrase(draw, photo.token), [], []
        at = text.index(photo.token)
        for _ in range(draw.choice((0, 1, 1, 3))):
            x1, y1, x2, y2 = corners(draw, photo)
            w, h = photo.width, photo.height
            place = [float(at), float(at + len(photo.token))]
            expressions.append([*place, x1 / w, y1 / h, x2 / w, y2 / h, 0.9])
            objects.append(SeenObject(photo.token, box=photo.box(x1, y1, x2, y2)))
        value = {
            "key": photo.token, "url": f"http://a/{photo.name}", "caption": text,
            "width": photo.width, "height": photo.height, "ref_exps": expressions,
        }  # fmt: skip
        rows.append(RowOf(value, [caption(photo.name, text, tuple(objects))]))
    return Rows(draw.choice(_FORMS), rows, {"media_root": IMAGES}).made(draw)


def pixmo(draw: Random) -> Made:
    """Points in percent of the image."""
    rows = []
    for photo in some_photos(draw):
        points = [
            {"x": draw.randrange(101) / 1, "y": draw.randrange(101) / 1}
            for _ in range(draw.choice((0, 1, 3)))
        ]
        label = draw.choice(NAMES)
        value = {"image_url": f"http://a/{photo.name}", "label": label, "points": points}
        objects = tuple(SeenObject(label, point=(p["x"] * 10, p["y"] * 10)) for p in points)
        record = caption(photo.name, None, objects)
        rows.append(RowOf({**value, "count": len(points)}, [record]))
    if not any(row.value["points"] for row in rows):
        return pixmo(draw)
    return Rows(draw.choice(_FORMS), rows, {"media_root": IMAGES}).made(draw)


def screenspot(draw: Random) -> Made:
    rows = []
    for photo in some_photos(draw):
        text, kind = phrase(draw, photo.token), draw.choice(("text", "icon"))
        x1, y1, x2, y2 = corners(draw, photo)
        box = [x1, y1, x2 - x1, y2 - y1]
        value = {"img_filename": photo.name, "instruction": text, "data_type": kind, "bbox": box}
        found = SeenObject(kind, text, box=photo.box(x1, y1, x2, y2))
        rows.append(RowOf(value, [caption(photo.name, None, (found,))]))
    return Rows(draw.choice((ARRAY, LINES)), rows, {"media_root": IMAGES}).made(draw)


def boxes_table(draw: Random) -> Made:
    """Objects as a list of objects, or as parallel columns."""
    rows, is_flat = [], draw.random() < 0.5
    for photo in some_photos(draw):
        names = draw.choices(NAMES, k=draw.choice((1, 1, 3)))
        found = [(name, corners(draw, photo)) for name in names]
        boxes = [[x1, y1, x2 - x1, y2 - y1] for _, (x1, y1, x2, y2) in found]
        value: dict[str, Any] = {"image": photo.name, "n": 1}
        if is_flat:
            value |= {"boxes": boxes, "labels": [name for name, _ in found]}
        else:
            pairs = zip(found, boxes, strict=True)
            value["objects"] = [{"bbox": box, "category": name} for (name, _), box in pairs]
        objects = tuple(SeenObject(name, box=photo.box(*box)) for name, box in found)
        rows.append(RowOf(value, [caption(photo.name, None, objects)]))
    fields = {"field": "objects", "box": "bbox", "label": "category"}
    settings: dict[str, Any] = {"space": "coco", "media_root": IMAGES}
    settings |= {"boxes": "boxes", "labels": "labels"} if is_flat else {"objects": fields}
    return Rows(draw.choice(_FORMS), rows, settings).made(draw)


def cvat(draw: Random) -> Made:
    rows = []
    for photo in some_photos(draw):
        shapes, objects = [], []
        for name in draw.choices(NAMES, k=draw.choice((0, 1, 3))):
            x1, y1, x2, y2 = corners(draw, photo)
            shapes.append({"label": name, "xtl": x1, "ytl": y1, "xbr": x2, "ybr": y2})
            objects.append(SeenObject(name, box=photo.box(x1, y1, x2, y2)))
        value = {"name": photo.name, "width": photo.width, "height": photo.height, "boxes": shapes}
        rows.append(RowOf(value, [caption(photo.name, None, tuple(objects))]))
    form = Form(".xml", _cvat_file, _count_cvat)
    return Rows(form, rows, {"media_root": IMAGES}, is_keyed=True).made(draw)


def _cvat_file(rows: Sequence[Any], draw: Random) -> bytes:
    images = []
    for number, row in enumerate(rows):
        boxes = [f"<box{_attributes(shape)}/>" for shape in row.get("boxes", ())]
        fields = {name: value for name, value in row.items() if name != "boxes"}
        images.append(f'<image id="{number}"{_attributes(fields)}>{"".join(boxes)}</image>\n')
    return f"<annotations><version>1.1</version>\n{''.join(images)}</annotations>\n".encode()


def _attributes(fields: dict[str, Any]) -> str:
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in fields.items())


def _count_cvat(data: bytes) -> int | None:
    try:
        return len(ElementTree.fromstring(data).findall("image"))
    except ElementTree.ParseError:
        return None


def label_studio(draw: Random) -> Made:
    """Rectangles in percent of the image."""
    rows = []
    for photo in some_photos(draw):
        results, objects = [], []
        for number in range(draw.choice((0, 1, 3))):
            name, (x1, y1, x2, y2) = draw.choice(NAMES), corners(draw, photo)
            x, y = 100 / photo.width, 100 / photo.height
            value = {"x": x1 * x, "y": y1 * y, "width": (x2 - x1) * x, "height": (y2 - y1) * y}
            results.append({
                "id": f"r{number}", "type": "rectanglelabels", "original_width": photo.width,
                "original_height": photo.height, "from_name": "label", "to_name": "image",
                "value": {**value, "rotation": 0, "rectanglelabels": [name]},
            })  # fmt: skip
            objects.append(SeenObject(name, box=photo.box(x1, y1, x2, y2)))
        task = {"id": 7, "data": {"image": photo.name}, "annotations": [{"result": results}]}
        rows.append(RowOf(task, [caption(photo.name, None, tuple(objects))]))
    return Rows(draw.choice(JSON), rows, {"media_root": IMAGES}).made(draw)


MAKERS = {
    "grit": grit,
    "pixmo": pixmo,
    "screenspot": screenspot,
    "boxes_table": boxes_table,
    "cvat": cvat,
    "label_studio": label_studio,
}
