"""Annotated images in one JSON object of arrays: COCO and the formats with its layout."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.hunt.documents import Document, Limits, encoded
from tests.hunt.forms import ARRAY, PICKLE
from tests.hunt.made import Made
from tests.hunt.rows import RowOf, Rows
from tests.hunt.seen import Seen, SeenObject, caption
from tests.hunt.words import Photo, phrase, some_photos

NAMES = ("cat", "dog", "über", "traffic light")


COUNTED = ("images", "annotations")
LIMITS: dict[str, Limits] = {"images": (2, 1), "annotations": (2, 2), "categories": (None, None)}
"""Two, because a link to another image costs that image its form, too."""


def categories() -> list[dict[str, Any]]:
    return [{"id": 10 + number, "name": name} for number, name in enumerate(NAMES)]


def corners(draw: Random, photo: Photo) -> tuple[int, int, int, int]:
    """A box inside an image, in pixels."""
    x1, y1 = draw.randrange(photo.width - 9), draw.randrange(photo.height - 9)
    return x1, y1, draw.randrange(x1 + 2, photo.width), draw.randrange(y1 + 2, photo.height)


def triangle(draw: Random, photo: Photo) -> tuple[list[int], tuple[float, ...]]:
    """A ring in pixels and in thousandths."""
    x1, y1, x2, y2 = corners(draw, photo)
    ring = [x1, y1, x2, y1, x2, y2]
    return ring, (*photo.box(x1, y1, x2, y1), *photo.box(x2, y2, 0, 0)[:2])


def image_entry(photo: Photo, number: int, path: str = "file_name") -> dict[str, Any]:
    size = {"width": photo.width, "height": photo.height}
    return {"id": 1000 + number, path: photo.name, **size, "license": 3}


def coco(draw: Random) -> Made:
    images, records = list[Any](), list[Seen]()
    annotations: list[dict[str, Any]] = []
    for number, photo in enumerate(some_photos(draw)):
        images.append(image_entry(photo, number))
        objects = []
        for _ in range(draw.choice((0, 1, 1, 3))):
            category = draw.randrange(len(NAMES))
            entry, found = _coco_annotation(draw, photo, NAMES[category])
            own = {"id": 5000 + len(annotations), "image_id": 1000 + number}
            annotations.append({**own, "category_id": 10 + category, **entry})
            objects.append(found)
        records.append(caption(photo.name, None, tuple(objects)))
    content = {"info": {"year": 2017}, "images": images, "annotations": annotations}
    content = {**content, "categories": categories()}
    return Document(content, records, {}, COUNTED, LIMITS, ("annotations",)).made(draw)


def _coco_annotation(draw: Random, photo: Photo, label: str) -> tuple[dict[str, Any], SeenObject]:
    x1, y1, x2, y2 = corners(draw, photo)
    entry: dict[str, Any] = {"bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0, "area": 2.5}
    found = SeenObject(label, box=photo.box(x1, y1, x2, y2))
    if draw.random() < 0.3:
        ring, seen = triangle(draw, photo)
        entry["segmentation"] = [ring]
        found = found._replace(polygon=(seen,))
    return entry, found


def coco_captions(draw: Random) -> Made:
    images, records = list[Any](), list[Seen]()
    annotations: list[dict[str, Any]] = []
    for number, photo in enumerate(some_photos(draw)):
        images.append(image_entry(photo, number))
        for _ in range(draw.choice((0, 1, 1, 3))):
            text = draw.choice((None, "", *[phrase(draw, photo.token, breaks=True)] * 6))
            own = {"id": 5000 + len(annotations), "image_id": 1000 + number}
            annotations.append({**own, "caption": text})
            records.append(caption(photo.name, text or None))
    draw.shuffle(annotations)
    content = {"info": {}, "images": images, "annotations": annotations, "licenses": []}
    limits = {"images": (6, 3), "annotations": (2, 1)}
    return Document(content, records, {}, ("images", "annotations"), limits).made(draw)


def karpathy(draw: Random) -> Made:
    images, records = [], []
    for photo in some_photos(draw):
        texts = [phrase(draw, photo.token) for _ in range(draw.choice((0, 1, 3)))]
        sentences = [{"raw": t, "tokens": t.split(), "sentid": n} for n, t in enumerate(texts)]
        entry = {"filename": photo.name, "split": "val", "imgid": 1, "sentences": sentences}
        images.append({"filepath": "", **entry} if draw.random() < 0.5 else entry)
        records += [caption(photo.name, text) for text in texts]
    content = {"images": images, "dataset": "coco"}
    return Document(content, records, {}, ("images",), {"images": (3, 3)}, is_nested=True).made(
        draw
    )


def sbu(draw: Random) -> Made:
    photos = some_photos(draw)
    texts = [draw.choice((None, *[phrase(draw, p.token)] * 5)) for p in photos]
    content = {
        "image_urls": [f"http://static.x.com/{photo.name}" for photo in photos],
        "captions": texts,
        "user_ids": [f"{n}@N08" for n in range(len(photos))],
    }
    records = [caption(p.name, t) for p, t in zip(photos, texts, strict=True)]
    limits: dict[str, Any] = {"image_urls": (None, None), "captions": (None, None)}
    return Document(content, records, {}, ("image_urls",), limits, ("captions", "image_urls")).made(
        draw
    )


def omni3d(draw: Random) -> Made:
    images, records = list[Any](), list[Seen]()
    annotations: list[dict[str, Any]] = []
    for number, photo in enumerate(some_photos(draw)):
        images.append(image_entry(photo, number, "file_path"))
        objects = []
        for _ in range(draw.choice((0, 1, 1, 3))):
            category, (x1, y1, x2, y2) = draw.randrange(len(NAMES)), corners(draw, photo)
            own = {"id": 5000 + len(annotations), "image_id": 1000 + number}
            entry = {
                "category_id": 10 + category, "category_name": NAMES[category], "valid3D": False,
                "bbox2D_tight": [x1, y1, x2, y2], "center_cam": [-1, -1, -1],
                "dimensions": [-1, -1, -1], "R_cam": [[-1] * 3] * 3,
            }  # fmt: skip
            annotations.append(own | entry)
            objects.append(SeenObject(NAMES[category], box=photo.box(x1, y1, x2, y2)))
        records.append(caption(photo.name, None, tuple(objects)))
    if not annotations:
        return omni3d(draw)
    content = {"images": images, "annotations": annotations, "categories": categories()}
    return Document(content, records, {}, COUNTED, LIMITS, ("annotations",)).made(draw)


def refcoco(draw: Random) -> Made:
    """Refs of one annotation each; an image has one ref, of several sentences."""
    images, annotations, rows = list[Any](), list[Any](), list[RowOf]()
    for number, photo in enumerate(some_photos(draw)):
        images.append(image_entry(photo, number))
        category = draw.randrange(len(NAMES))
        entry, found = _coco_annotation(draw, photo, NAMES[category])
        ids = {"id": 5000 + number, "image_id": 1000 + number, "category_id": 10 + category}
        annotations.append({**ids, **entry})
        texts = [phrase(draw, photo.token) for _ in range(draw.choice((1, 2)))]
        ref = {
            "ref_id": 70 + number, "ann_id": 5000 + number, "image_id": 1000 + number,
            "category_id": 10 + category, "split": "train",
            "sentences": [{"sent_id": n, "sent": t, "raw": t} for n, t in enumerate(texts)],
        }  # fmt: skip
        objects = tuple(found._replace(text=text) for text in texts)
        rows.append(RowOf(ref, [caption(photo.name, None, objects)]))
    content = {"images": images, "annotations": annotations, "categories": categories()}
    more = {"instances.json": encoded(content, draw)}
    return Rows(PICKLE, rows, {"media_root": "images"}, more=more, is_keyed=True).made(draw)


def visual_genome(draw: Random) -> Made:
    rows, is_regions = [], draw.random() < 0.5
    for photo in (one for one in some_photos(draw) if one.name.endswith(".jpg")):
        entries, objects = [], []
        for number in range(draw.choice((0, 1, 1, 3))):
            x1, y1, x2, y2 = corners(draw, photo)
            text = phrase(draw, photo.token)
            sides = ("width", "height") if is_regions else ("w", "h")
            box = {"x": x1, "y": y1, sides[0]: x2 - x1, sides[1]: y2 - y1}
            named = {"region_id": number, "phrase": text} if is_regions else {"names": [text]}
            entries.append({**named, **box})
            label, words = (None, text) if is_regions else (text, None)
            objects.append(SeenObject(label, words, box=photo.box(x1, y1, x2, y2)))
        holder = {"id": photo.token} if is_regions else {"image_id": photo.token}
        value = {**holder, "regions" if is_regions else "objects": entries}
        rows.append(RowOf(value, [caption(photo.name, None, tuple(objects))]))
    if not rows:
        return visual_genome(draw)
    return Rows(ARRAY, rows, {"media_root": "images"}).made(draw)


MAKERS = {
    "coco": coco,
    "coco_captions": coco_captions,
    "karpathy": karpathy,
    "sbu": sbu,
    "omni3d": omni3d,
    "refcoco": refcoco,
    "visual_genome": visual_genome,
}
