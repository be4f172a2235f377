"""Pascal VOC: an XML file for each image, and in it an object for each box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar
from xml.etree.ElementTree import Element

from curate.ingest.formats.xml_files import parsed, rest_of, text_of
from curate.ingest.grounding.annotations.file_per_image import FilePerImage, SplitCache
from curate.ingest.grounding.annotations.grounding_records import AnnotatedImage, Annotation
from curate.ingest.reader import Head
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

CORNERS = ("xmin", "ymin", "xmax", "ymax")


class Voc(FilePerImage):
    """Pascal VOC XML, as LabelImg and CVAT write it too: `<object>` with `<name>` and `<bndbox>`.

    A file is a record. Its image is `<filename>` below `media_root`, without its ending where
    that is another, or else named as the file is; a path before the name counts for nothing,
    for it is of the annotator's machine. Each object has a label and a box: corners in pixels
    that are counted from 1, the last one inside (the devkit's convention; a tool that counts
    from 0 is said with `space: xyxy pixel zero`). Its other fields (`difficult`, `truncated`,
    `pose`, `occluded`, ...) are its attributes; a `<part>` is an object of its own, with
    `part_of`, the number of its object from 0. All else of the file goes to `meta`.

    Files are read in groups, and the space is checked over the whole group. Quarantined, one by
    one: files that are no XML, or declare a document type, or whose image is not there or of
    another shape than `<size>` says, or with an object that has no box.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    own_space: ClassVar[Space] = SPACES["voc"]

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return is_annotation(head) and b"<nobndbox>" not in head.data

    def sample(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        root = annotation(data, file)
        objects = enumerate(root.findall("object"))
        return AnnotatedImage(
            "",
            self.image(file, text_of(root, "filename"), cache),
            [annotation for number, one in objects for annotation in _annotations(one, number)],
            size_of(root),
            meta=rest_of(root, ("object",)),
        )


def is_annotation(head: Head) -> bool:
    """Whether a file is XML whose root is `annotation`."""
    start = head.data.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith(b"<") and b"<annotation" in start[:4096]


def annotation(data: bytes, file: File) -> Element:
    root = parsed(data, file.uri)
    if root.tag != "annotation":
        raise FileError(f"its root is <{root.tag}>, not <annotation>.", file.uri)
    return root


def size_of(root: Element) -> tuple[float, float] | None:
    """Width and height that the file tells; RowError for one that is no number."""
    size = root.find("size")
    if size is None:
        return None
    return number_of(size, "width"), number_of(size, "height")


def box_of(holder: Element, what: str) -> list[float]:
    """The corners of `<bndbox>`, which a file may have in any order."""
    box = holder.find("bndbox")
    if box is None:
        raise RowError(f"{what} has no <bndbox>.", fix="Give it one, or take the object out.")
    return [number_of(box, corner) for corner in CORNERS]


def number_of(holder: Element, tag: str) -> float:
    said = text_of(holder, tag)
    try:
        return float(said or "")
    except ValueError:
        raise RowError(f"<{tag}> of <{holder.tag}> is {said!r:.80}, not a number") from None


def _annotations(one: Element, number: int) -> Iterator[Annotation]:
    yield _annotation(one, f"object {number}", ("part",))
    for part in one.findall("part"):
        yield _annotation(part, f"a part of object {number}", (), {"part_of": number})


def _annotation(
    one: Element, what: str, spent: tuple[str, ...], more: dict[str, Any] | None = None
) -> Annotation:
    label = text_of(one, "name")
    if label is None:
        raise RowError(f"{what} has no <name>.", fix="Give it one, or take the object out.")
    rest = rest_of(one, ("name", "bndbox", *spent)) | (more or {})
    return Annotation(label, box_of(one, what), attributes=rest)
