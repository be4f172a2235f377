"""Real images with a coarse concept each, named by their source or by what people wrote about them.

The folder is the one that CURATE_DATA names for the tests: figures of OpenStax books with alt
texts, COCO images with categories, Open Images and raccoons; photographs of dishes, scanned
receipts and cropped words besides.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_ALT_TEXTS = {
    "chart": r"graph|chart|x-axis|axis|plot",
    "map": r"map",
    "statue": r"statue|bust|sculpture",
    "brain": r"brain|neurons?|cortex",
    "artwork": r"painting|portrait|engraving|cartoon|poster|drawing",
    "diagram": r"diagram|flow chart|flowchart|arrows|flows|boxes",
    "city": r"city|street|buildings?|houses?",
    "people": r"people|persons?|m[ae]n|wom[ae]n|child|children|boys?|girls?|student|crowd|group",
}
"""The words by which the alt text of a figure names a concept; the first concept counts."""
_COCO = {
    "person": "people", "animal": "animal", "vehicle": "vehicle", "food": "dish",
    "furniture": "indoor", "kitchen": "indoor", "appliance": "indoor", "electronic": "indoor",
}  # fmt: skip
"""The concept of each supercategory of COCO. That of an image is the one of its largest object."""
_OPEN_IMAGES = {"Bird": "animal", "Person": "people", "Bicycle": "vehicle", "Boat": "vehicle"}
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


class LabelledImage(NamedTuple):
    """An image. `concept` is None if nothing names one of the concepts."""

    path: Path
    concept: str | None


def captioned(data: Path) -> Iterator[LabelledImage]:
    """Yields the images of `captions` and `grounding`."""
    books = data / "captions/openstax"
    for listed in sorted(books.glob("*.captions.jsonl")):
        for row in map(json.loads, listed.read_bytes().splitlines()):
            text = (row.get("alt") or row.get("caption") or "").lower()
            named = (c for c, words in _ALT_TEXTS.items() if re.search(rf"\b({words})\b", text))
            if (books / row["file"]).is_file():
                yield LabelledImage(books / row["file"], next(named, None))
    coco = data / "grounding/coco_permissive"
    yield from _annotated(coco / "annotations", "*instances*.json", coco / "images", _COCO)
    opened = data / "grounding/openimages_boxes"
    images = opened / "coco/val2017"
    yield from _annotated(opened / "annotations", "*.json", images, _OPEN_IMAGES)
    yield from _folder(data / "grounding/raccoon/images", "raccoon")


def other_kinds(data: Path) -> Iterator[LabelledImage]:
    """Yields photographs of dishes, scanned receipts and cropped words."""
    yield from _folder(data / "interleaved/based_cooking/static/pix", "dish")
    yield from _folder(data / "ocr/sroie/data/img", "receipt")
    yield from _folder(data / "ocr/paddle_samples/doc/imgs_words", "words")
    yield from _folder(data / "ocr/paddle_samples/doc/imgs_words_en", "words")


def _annotated(
    folder: Path, pattern: str, images: Path, concepts: dict[str, str]
) -> Iterator[LabelledImage]:
    """Yields the images of annotations in COCO's format, each once."""
    areas: dict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted(folder.glob(pattern)):
        content = json.loads(path.read_text())
        files = {image["id"]: image["file_name"] for image in content["images"]}
        kinds = {kind["id"]: _named(kind, concepts) for kind in content["categories"]}
        for one in content["annotations"]:
            width, height = one["bbox"][2:]
            areas[files[one["image_id"]]][kinds[one["category_id"]]] += width * height
    for name in sorted(areas):
        if (images / name).is_file():
            [(largest, _)] = areas[name].most_common(1)
            yield LabelledImage(images / name, largest or None)


def _named(kind: dict[str, Any], concepts: dict[str, str]) -> str:
    return concepts.get(kind.get("supercategory", "")) or concepts.get(kind["name"], "")


def _folder(folder: Path, concept: str) -> Iterator[LabelledImage]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _ENDINGS:
            yield LabelledImage(path, concept)
