"""Makes a small corpus: drawings with captions and boxes, some of them deliberately broken."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import numpy as np

from manifests import storage

RECIPE = """\
# The recipe of `curate demo`. Change a number and run it again, in this folder: only what changed
# is redone.   curate run recipe.yaml -o out
name: demo
seed: 17

sources:
  - {name: web, reader: webdataset, path: data/web/*.tar}
  - {name: photos, reader: folder, path: data/photos}
  - name: lines
    reader: table
    path: data/lines.jsonl
    text: caption
    image: file
    media_root: data/photos
  - {name: chats, reader: llava, path: data/chats.json, media_root: data/photos}
  - {name: boxes, reader: coco, path: data/boxes.json, media_root: data/photos}

steps:
  - words: {min: 3, max: 64, only: {modality: [caption, chat]}}
  - character_repetition: {n: 5, max: 0.25, only: {modality: [caption, chat]}}
  - image_shape: {min_side: 48, max_aspect: 3, only: {modality: caption}}
  - language: {keep: [en, de], min_score: 0.3, only: {modality: [caption, chat]}}
  - boxes: {min_side: 4, only: {modality: grounding}}
  - grounding_text: {only: {modality: grounding}}
  - image_decodes: {}
  - duplicates: {by: [minhash, perceptual], keep: [-media.pixels, id]}
  - sample: {share: 0.9}
  # demo-colours is no model. It is a program that measures the pixels of an image, and
  # `curate demo` runs it. All its replies are in the folder journal, so this recipe needs it only
  # for new images. For these, start it in another terminal: curate demo --serve -o .
  - recaption:
      model: demo-colours
      endpoint: ENDPOINT
      max_outage_seconds: 10
      only: {modality: caption, language: en}

shards:
  formats: [arrow, jsonl]
  shard_bytes: 400kB
  columns: [words.count, language.score, raw_text, recaption.status, recaption.model]
"""

_COLOURS = {
    "red": (214, 40, 40),
    "blue": (29, 78, 216),
    "green": (22, 128, 61),
    "yellow": (234, 179, 8),
    "black": (20, 20, 20),
}
_SHAPES = ("circle", "square", "triangle")
_PLACES = ("on the left", "in the middle", "on the right")
_PER_TAR, _TARS, _PHOTOS = 120, 3, 150


def make(folder: str, endpoint: str) -> str:
    """Write the corpus and its recipe into a folder; return the path of the recipe. `endpoint` is
    the address of the server that answers the step `recaption`."""
    for name in ("data/web", "data/photos"):
        storage.make_folder(storage.join(folder, name))
    for number in range(_TARS):
        _write(folder, f"data/web/{number:05d}.tar", _tar(number))
    for number in range(_PHOTOS):
        _photo(folder, number)
    _write(folder, "data/lines.jsonl", _lines())
    _write(folder, "data/chats.json", _chats())
    _write(folder, "data/boxes.json", _boxes())
    _write(folder, "recipe.yaml", RECIPE.replace("ENDPOINT", endpoint).encode())
    return storage.join(folder, "recipe.yaml")


def _write(folder: str, name: str, data: bytes) -> None:
    """Write a file, unless it already has these bytes. An unchanged file retains its modification
    time, so a second run does not read it again."""
    place = storage.join(folder, name)
    known = storage.size_and_stamp(place)
    if known is None or storage.read_bytes(place) != data:
        storage.write_bytes(place, data)


def _caption(rng: np.random.Generator) -> tuple[str, str, str]:
    colour, shape, place = (str(rng.choice(words)) for words in ([*_COLOURS], _SHAPES, _PLACES))
    return colour, shape, place


def _layout(rng: np.random.Generator, place: str, side: int) -> tuple[int, int, int, int]:
    """Choose the size of a drawing of height `side`. Returns its width, then the centre x, y and
    the radius of its shape, in pixels. `place` (such as "left") determines the centre."""
    width = int(side * rng.uniform(1.0, 1.8))
    return width, width * (_PLACES.index(place) + 1) // 4, side // 2, side // 5


def _drawing(number: int, side: int = 96, kind: str = "JPEG") -> tuple[bytes, str]:
    """Draw one coloured shape. Returns an image file in the format `kind`, whose image has the
    height `side`, and a caption. `number` is the seed."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(number)
    colour, shape, place = _caption(rng)
    width, x, y, r = _layout(rng, place, side)
    noise = rng.integers(200, 255, (side // 8, width // 8, 3), np.uint8)
    image = Image.fromarray(noise).resize((width, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    corners = {"square": [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)],
               "triangle": [(x, y - r), (x + r, y + r), (x - r, y + r)]}  # fmt: skip
    if shape == "circle":
        draw.ellipse((x - r, y - r, x + r, y + r), _COLOURS[colour])
    else:
        draw.polygon(corners[shape], _COLOURS[colour])
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue(), f"A {colour} {shape} {place} of a pale picture, number {number}."


def _reposted(number: int) -> tuple[bytes, str]:
    """Make a near-duplicate of drawing `number`: the bytes of a smaller image, and the same caption
    in capitals."""
    from PIL import Image

    drawing, caption = _drawing(number)
    out = io.BytesIO()
    with Image.open(io.BytesIO(drawing)) as image:
        smaller = image.resize((image.width * 3 // 4, image.height * 3 // 4))
        smaller.save(out, "JPEG", quality=60)
    return out.getvalue(), caption.upper()


def _tar(number: int) -> bytes:
    """Make the tar file with the number `number`, in the layout of img2dataset. Some of its samples
    are broken, like some samples from the web."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for row in range(_PER_TAR):
            key = f"{number:05d}{row:04d}"
            image, caption = _drawing(number * _PER_TAR + row, 32 if row % 29 == 5 else 96)
            if row % 16 == 14:
                image, caption = _reposted(number * _PER_TAR + row - 2)
            image, caption = _broken_sometimes(image, caption, row)
            _add(tar, f"{key}.jpg", image)
            _add(tar, f"{key}.txt", caption.encode())
            about = {"key": key, "caption": caption, "url": f"https://example.org/{key}.jpg"}
            _add(tar, f"{key}.json", json.dumps(about).encode())
    return out.getvalue()


def _broken_sometimes(image: bytes, caption: str, row: int) -> tuple[bytes, str]:
    if row % 40 == 7:
        return image[: len(image) // 2], caption
    if row % 40 == 17:
        return b"<html>404 not found</html>", caption
    if row % 20 == 3:
        return image, "IMG_0042.JPG"
    if row % 24 == 9:
        return image, "buy now! " * 12
    if row % 15 == 11:
        return (
            image,
            "Ein roter Kreis liegt links auf einem hellen Bild, und sonst ist nichts da.",
        )
    if row % 15 == 13:
        return image, "Un triangle bleu se trouve à droite de cette image très claire."
    return image, caption


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _photo(folder: str, number: int) -> None:
    kind = ("JPEG", "PNG", "WEBP")[number % 3]
    image, caption = _drawing(10_000 + number, 96, kind)
    _write(folder, f"data/photos/{_photo_name(number)}", image)
    if number % 2:
        _write(folder, f"data/photos/{number:04d}.txt", caption.encode())


def _photo_name(number: int) -> str:
    return f"{number:04d}.{('jpg', 'png', 'webp')[number % 3]}"


def _lines() -> bytes:
    """Make captions as JSON lines: one line has no text, one line has no image, and the last line
    is cut in half."""
    rows: list[dict[str, Any]] = [
        {"file": _photo_name(n), "caption": _drawing(10_000 + n)[1]} for n in range(0, _PHOTOS, 2)
    ]
    rows[3]["caption"] = None
    rows[5]["file"] = "never-downloaded.jpg"
    text = "\n".join(json.dumps(row) for row in rows)
    return text[:-20].encode()


def _chats() -> bytes:
    """Make conversations about the photos, in LLaVA's format. One conversation has two image tags
    but only one image."""
    rows = [
        {
            "id": f"chat-{n}",
            "image": _photo_name(n),
            "conversations": [
                {"from": "human", "value": "<image>\nWhat does this picture show, and where?"},
                {"from": "gpt", "value": _drawing(10_000 + n)[1]},
            ],
        }
        for n in range(0, _PHOTOS, 3)
    ]
    turns: Any = rows[4]["conversations"]
    turns[0]["value"] = "<image><image>\nWhich of the two is larger?"
    return json.dumps(rows, indent=1).encode()


def _boxes() -> bytes:
    """Make COCO boxes of the shapes on the photos: one box has no width, and one box is far outside
    its image."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for n in range(0, _PHOTOS, 2):
        rng = np.random.default_rng(10_000 + n)
        _, shape, place = _caption(rng)
        width, x, y, r = _layout(rng, place, 96)
        box = [x - r, y - r, 2 * r, 2 * r]
        images.append({"id": n, "file_name": _photo_name(n), "width": width, "height": 96})
        category = _SHAPES.index(shape)
        annotations.append({"id": n, "image_id": n, "category_id": category, "bbox": box})
    annotations[5]["bbox"][2] = 0
    annotations[8]["bbox"][0] = 4000
    categories = [{"id": n, "name": shape} for n, shape in enumerate(_SHAPES)]
    split = {"images": images, "annotations": annotations, "categories": categories}
    return json.dumps(split, indent=1).encode()
