"""Pascal VOC: an XML file for each image, with an `<object>` for each box."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, ClassVar
from xml.etree.ElementTree import Element

from curate.ingest.formats.xml_files import parsed, rest_of, text_of
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.file_per_image import (
    NO_ANNOTATION,
    FilePerImage,
    SplitCache,
)
from curate.ingest.reader import Head
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

_ROOT = re.compile(rb"<annotation[\s>]")
_FIX = "Add it, or leave the file in quarantine: without the object it would look complete."
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class Voc(FilePerImage):
    """Pascal VOC XML, which LabelImg and CVAT write too: `<object>` with `<name>` and `<bndbox>`.

        <annotation><filename>a.jpg</filename>
          <size><width>640</width><height>480</height></size>
          <object><name>dog</name><difficult>0</difficult>
            <bndbox><xmin>65</xmin><ymin>49</ymin><xmax>128</xmax><ymax>96</ymax></bndbox>
          </object></annotation>

    Each file becomes a record. Its image is `<filename>` below `media_root`, with any suffix, or
    else an image with the name of the XML file. Folders in `<filename>` are ignored, because they
    are folders of the annotator's machine.

    Each object has a label and a box. Pixels are numbered from 1, and the last pixel is inside the
    box, as in VOC's devkit; for a tool that numbers pixels from 0, set `space: xyxy pixel zero`.
    The other fields of an object (`difficult`, `truncated`, `pose`, `occluded`, ...) become
    attributes. A `<part>` becomes an object too. Its attribute `part_of` is the number of the
    `<object>` that contains the part, from 0. The other fields of the file go to `meta`.

    Whether the numbers fit the space is checked over each group of about 2000 files, and over the
    complete source. A file is quarantined if it is not XML, if it declares a document type, if its
    image is missing or has another aspect ratio than `<size>`, or if one of its objects has no name
    or no box.
    """

    version: ClassVar[int] = 3
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    own_space: ClassVar[Space] = SPACES["voc"]

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return is_annotation(head) and b"<nobndbox>" not in head.data

    def parse(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        root = annotation_root(data, file)
        return AnnotatedImage(
            "",
            self.find_image(file, text_of(root, "filename"), cache),
            [
                annotation
                for number, element in enumerate(root.findall("object"))
                for annotation in _annotations(element, number)
            ],
            size_of(root),
            meta=rest_of(root, ("object",)),
        )


def is_annotation(head: Head) -> bool:
    """Whether a file is XML with the root `<annotation>`."""
    start = head.data.removeprefix(codecs.BOM_UTF8).lstrip()
    return start.startswith(b"<") and _ROOT.search(start[:4096]) is not None


def annotation_root(data: bytes, file: File) -> Element:
    root = parsed(data, file.uri)
    if root.tag != "annotation":
        fault = f"the root element is <{root.tag}>, not <annotation>."
        raise FileError(fault, file.uri, NO_ANNOTATION)
    return root


def size_of(root: Element) -> tuple[float, float] | None:
    """The width and height from `<size>`; None if there is no `<size>`. Raises RowError if the
    width or the height is not a number."""
    size = root.find("size")
    if size is None:
        return None
    return _number(size, "width"), _number(size, "height")


def box_of(holder: Element, what: str) -> list[float]:
    """Returns the box x1 y1 x2 y2 in the element `<bndbox>` of `holder`. The children of `<bndbox>`
    may be in any order. `what` names the object in error messages."""
    box = holder.find("bndbox")
    if box is None and holder.find("robndbox") is not None:
        raise RowError(
            f"{what} has a <robndbox>, a rotated box, which is not supported.",
            fix="Export boxes or polygons in another format, or leave the file in quarantine.",
        )
    if box is None:
        raise RowError(f"{what} has no <bndbox>.", fix=_FIX)
    return [_number(box, corner) for corner in CORNERS]


def _number(holder: Element, tag: str) -> float:
    text = text_of(holder, tag)
    try:
        return float(text or "")
    except ValueError:
        raise RowError(f"<{tag}> of <{holder.tag}> is {text!r:.80}, not a number") from None


def _annotations(element: Element, number: int) -> Iterator[Annotation]:
    """Yields the annotation of an `<object>`, then the annotations of its parts. `number` is the
    number of the object in the file, from 0."""
    yield _annotation(element, f"object {number}", ("part",), {})
    for part in element.findall("part"):
        yield _annotation(part, f"a part of object {number}", (), {"part_of": number})


def _annotation(
    element: Element, what: str, used: tuple[str, ...], more: dict[str, Any]
) -> Annotation:
    label = text_of(element, "name")
    if label is None:
        raise RowError(f"{what} has no <name>.", fix=_FIX)
    attributes = rest_of(element, ("name", "bndbox", *used)) | more
    return Annotation(label, box_of(element, what), attributes=attributes)
