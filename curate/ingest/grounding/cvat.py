"""CVAT for images: one XML file with the shapes of many images."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
from pydantic import Field

from curate.ingest.formats.chunks import read_chunks, with_compressed
from curate.ingest.formats.xml_files import children, plain_value
from curate.ingest.formats.xml_tags import tags
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.coco_layout import BATCH_IMAGES
from curate.ingest.grounding.annotations.coco_masks import to_coco_rle
from curate.ingest.grounding.annotations.fields import without
from curate.ingest.grounding.annotations.grounding_reader import GroundingReader
from curate.ingest.grounding.annotations.image_by_path_end import ImageFolder, SharedEnds
from curate.ingest.grounding.annotations.object_parts import box_around, join_parts
from curate.ingest.grounding.annotations.rotated_boxes import ellipse_box, rotated_ring
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Count, Head, ReadBatch, Split
from manifests import storage
from manifests.errors import FileError, MediaError, RowError
from manifests.geometry.space import Space

UNITS = ("image", "track")
"""The tags whose elements are counted (see `Reader.count`)."""
_ROOT = re.compile(rb"<annotations[\s>]")
_VIDEO = (
    "a <track> is an object of a video, whose frames have no names. Export the task as `CVAT for "
    "images 1.1`, which has the boxes of each frame."
)


class Cvat(GroundingReader):
    """CVAT for images 1.1: XML with an `<image>` for each image, and its shapes.

        <annotations><image id="0" name="a.jpg" width="640" height="480">
          <box label="dog" xtl="64" ytl="48" xbr="128" ybr="96" occluded="0" z_order="0">
            <attribute name="colour">brown</attribute></box></image></annotations>

    Each `<image>` becomes a record. Its image is `name` below `media_root`, or below the folder
    `images` there, as in CVAT's own export; leading folders that do not exist are removed, unless
    the names of two images in the export would then be equal. The other attributes of the `<image>`
    go to `meta`, and so do its `<tag>` elements, under `tags`.

    A `<box>` becomes a box; with a `rotation` it becomes a ring of four points and the box around
    it. A `<polygon>` or `<polyline>` becomes one ring, although a line is open. An `<ellipse>`
    becomes the box around it. A `<mask>` becomes a box and a run-length mask in the attribute `rle`
    (COCO's form, which the step `masks` reads). A `<skeleton>` becomes an object with the attribute
    `points`. The attribute `shape` is the kind of a shape; `occluded`, `z_order`, `source` and the
    others become attributes, and CVAT's own `<attribute>`s are in `attributes`.

    A `<points>` with several points may be several objects or the landmarks of one, and shapes of
    one label with one `group_id` may be the parts of one object or several objects: `points` and
    `group_id` choose; without them such an image is quarantined. A shape that is malformed or of
    another kind (`<cuboid>`) fails on its own, and its image is marked (`curate.lost` in `meta`).
    Images with the same name are quarantined, and so is a `<track>`, which is part of a video. The
    key of a record is the file's name and the number of the element, from 0.
    """

    suffixes: ClassVar[tuple[str, ...]] = with_compressed(".xml")
    own_space: ClassVar[Space] = Space(form="xyxy", unit="pixel")

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    points: Literal["objects", "landmarks"] | None = Field(
        None,
        description="what a <points> shape with several points is: `objects`: an object for "
        "each point; `landmarks`: one object; null: its image is quarantined",
    )
    group_id: Literal["parts", "objects"] | None = Field(
        None,
        description="what shapes with the same label and group are: the `parts` of one "
        "object, or several `objects`; null: their image is quarantined",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        start = head.data.removeprefix(b"\xef\xbb\xbf").lstrip()
        return start.startswith(b"<") and _ROOT.search(start[:4096]) is not None

    def count(self, split: Split, context: Context) -> Count:
        """The number of tags `<image>` and `<track>`; no element is parsed."""
        place = context.media.resolve(split.files[0].uri)
        return Count("elements", sum(1 for _ in tags(read_chunks(place), UNITS)))

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        folder = _Folder.of(root_of(self.media_root, file, context.base), split, context)
        fault: FileError | None = None
        batch: list[AnnotatedImage] = []
        try:
            for number, element in enumerate(self._elements(split, context)):
                batch += self._images(number, element, folder)
                if len(batch) >= BATCH_IMAGES:
                    yield self.records(file, batch, context)
                    batch = []
        except FileError as error:  # what was read before it is complete
            fault = error
        yield self.records(file, batch, context)
        if fault is not None:
            raise fault

    def _elements(self, split: Split, context: Context) -> Iterator[Element]:
        file, limit = split.files[0], context.limits.max_row_bytes
        chunks = read_chunks(context.media.resolve(file.uri))
        for element in children(chunks, file.uri, "annotations", limit):
            if element.tag in UNITS:
                yield element

    def _images(self, number: int, element: Element, folder: _Folder) -> list[AnnotatedImage]:
        """Returns the annotated image of an `<image>` element, then a failure for each of its
        shapes that cannot be read."""
        try:
            if element.tag == "track":
                raise RowError(_VIDEO)
            return self._image(number, element, folder)
        except RowError as error:
            return [AnnotatedImage(number, error)]

    def _image(self, number: int, element: Element, folder: _Folder) -> list[AnnotatedImage]:
        image = folder.open(element)
        shapes = [child for child in element if child.tag != "tag"]
        width, height = size = _size(element, folder.context)
        parsed: list[list[Annotation]] = []
        failed: list[AnnotatedImage] = []
        for at, shape in enumerate(shapes):
            try:
                parsed.append(self._annotations(shape, (int(width), int(height))))
            except _TwoReadings as error:
                raise RowError(error.fault, fix=error.fix) from None
            except RowError as error:
                within = f"{number}.{shape.tag}[{at}]"
                fault = f"shape {at}, a <{shape.tag}>: {error.fault}"
                failed.append(AnnotatedImage(within, RowError(fault, fix=error.fix), units=0))
        objects = self._grouped(parsed)
        meta = _meta(element)
        return [AnnotatedImage(number, image, objects, size, meta=meta, lost=len(failed)), *failed]

    def _annotations(self, shape: Element, size: tuple[int, int]) -> list[Annotation]:
        if "label" not in shape.attrib:
            fault = f"the <{shape.tag}> has no attribute `label`."
            raise RowError(fault, fix="Write the label of the shape.")
        read = _SHAPES.get(shape.tag)
        if shape.tag == "points":
            return self._points(shape)
        if read is None:
            raise RowError(
                "a shape of this kind is not supported.",
                fix="Draw a box, a polygon or a mask, or leave the shape in quarantine.",
            )
        return [read(shape, size)]

    def _points(self, shape: Element) -> list[Annotation]:
        plain, (ring,) = _plain(shape, "points"), [_ring(shape)]
        points = [ring[at : at + 2] for at in range(0, len(ring), 2)]
        if len(points) > 1 and self.points is None:
            raise _TwoReadings(
                f"a <points> shape of {plain.label!r:.80} has {len(points)} points, which may "
                "be that many objects, or the landmarks of one object.",
                fix="Set `points` to objects or landmarks.",
            )
        if len(points) > 1 and self.points == "landmarks":
            return [plain._replace(attributes={**(plain.attributes or {}), "points": points})]
        return [plain._replace(point=point) for point in points]

    def _grouped(self, shapes: Sequence[Sequence[Annotation]]) -> list[Annotation]:
        """The objects of the image. `shapes` are the annotations of each shape: only different
        shapes can be the parts of an object."""
        keys = [_group(shape[0]) for shape in shapes]
        repeated = [key for key, n in Counter(keys).items() if key is not None and n > 1]
        if self.group_id == "parts":
            return join_parts(
                (key if key in repeated else None, one)
                for key, shape in zip(keys, shapes, strict=True)
                for one in shape
            )
        if repeated and self.group_id is None:
            label, group = repeated[0]
            raise RowError(
                f"several shapes of {label!r:.80} have the group_id {group}, so they may be "
                "the parts of one object, or several objects.",
                fix="Set `group_id` to parts or objects.",
            )
        return [one for shape in shapes for one in shape]


class _TwoReadings(RowError):
    """The error of a shape that can be read in two ways. The complete image fails with it, as a
    RowError, because the setting that chooses one of the ways applies to all its shapes."""


class _Folder(NamedTuple):
    """What is needed to find images: the folders that may have them (`places`), and the paths that
    several images have (`repeated`)."""

    places: tuple[ImageFolder, ...]
    context: Context
    repeated: set[str]

    @classmethod
    def of(cls, root: str, split: Split, context: Context) -> _Folder:
        place = context.media.resolve(split.files[0].uri)

        def paths() -> Iterator[str]:
            for tag in tags(read_chunks(place), ("image",)):
                yield _path(tag.attributes)

        repeated = {path for path, number in Counter(paths()).items() if number > 1}
        shared = SharedEnds(paths)
        roots = (storage.join(root, "images"), root)
        return cls(tuple(ImageFolder(one, context, shared) for one in roots), context, repeated)

    def open(self, image: Element) -> OpenedImage | RowError:
        """Opens the image of an `<image>` element, in the folder `images` below `root`, or else
        below `root` itself."""
        path = _path(image.attrib)
        if not path:
            raise RowError(
                "the <image> has no attribute `name`.", fix="Write the path of the image there."
            )
        if path in self.repeated:
            raise RowError(
                f"several images have the name {path!r:.200}, so it is not known which of the "
                "shapes belong to the file of this name.",
                fix="Give each image its own name, or export the tasks one by one.",
            )
        found = [place.open(path) for place in self.places]
        opened = next((one for one in found if isinstance(one, OpenedImage)), None)
        ambiguous = next((one for one in found if not isinstance(one, MediaError)), None)
        return opened or ambiguous or found[-1]


def _path(image: dict[str, str]) -> str:
    """The path of an image as in CVAT's exports, from its XML attributes: `subset/name`, or only
    the name."""
    subset, name = image.get("subset"), image.get("name", "")
    return f"{subset}/{name}" if subset and name else name


def _size(image: Element, context: Context) -> tuple[float, float]:
    width, height = _numbers(image, "width", "height")
    if min(width, height) <= 0:
        raise RowError(
            f"the <image> states a size of {width:g} x {height:g} pixels, which must be positive.",
            fix="Write the size of the image in its attributes width and height.",
        )
    if width * height > context.limits.max_pixels:
        raise RowError(
            f"{width:g} x {height:g} pixels are over the limit of {context.limits.max_pixels}.",
            fix="Raise media.max_pixels, or leave the file in quarantine.",
        )
    return width, height


def _meta(image: Element) -> dict[str, Any]:
    tagged = [_attributes(child) for child in image if child.tag == "tag"]
    plain = {name: plain_value(value) for name, value in image.attrib.items()}
    return without(plain, "width", "height") | ({"tags": tagged} if tagged else {})


def _group(annotation: Annotation) -> tuple[str | None, Any] | None:
    group = (annotation.attributes or {}).get("group_id")
    return None if group is None else (annotation.label, group)


def _plain(shape: Element, *used: str) -> Annotation:
    """The annotation of a shape without its coordinates. `used` are the XML attributes from which
    the coordinates are made."""
    attributes = {"shape": shape.tag, **without(_attributes(shape), "label", *used)}
    return Annotation(shape.get("label"), attributes=attributes)


def _attributes(element: Element) -> dict[str, Any]:
    """The XML attributes of an element, and its child elements `<attribute>` under the key
    `attributes`."""
    own = {one.get("name", ""): (one.text or "").strip() for one in element.findall("attribute")}
    plain = {name: plain_value(value) for name, value in element.attrib.items()}
    return plain | ({"attributes": own} if own else {})


def _box(shape: Element, size: tuple[int, int]) -> Annotation:
    x1, y1, x2, y2 = box = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
    plain = _plain(shape, "xtl", "ytl", "xbr", "ybr")
    if "rotation" not in shape.attrib:
        return plain._replace(box=box)
    [degrees] = _numbers(shape, "rotation")
    ring = rotated_ring(box, degrees, ((x1 + x2) / 2, (y1 + y2) / 2))
    return plain._replace(box=box_around([ring]), polygon=[ring])


def _outline(shape: Element, size: tuple[int, int]) -> Annotation:
    ring = _ring(shape)
    fewest = 3 if shape.tag == "polygon" else 2
    if len(ring) < 2 * fewest:
        raise RowError(f"it has {len(ring) // 2} points, not {fewest} or more")
    return _plain(shape, "points")._replace(polygon=[ring])


def _ellipse(shape: Element, size: tuple[int, int]) -> Annotation:
    x, y, rx, ry = _numbers(shape, "cx", "cy", "rx", "ry")
    [degrees] = _numbers(shape, "rotation") if "rotation" in shape.attrib else [0.0]
    return _plain(shape)._replace(box=ellipse_box((x, y), (rx, ry), degrees))


def _skeleton(shape: Element, size: tuple[int, int]) -> Annotation:
    plain = _plain(shape)
    points = [_attributes(one) | {"points": _ring(one)} for one in shape.findall("points")]
    return plain._replace(attributes={**(plain.attributes or {}), "points": points})


def _mask(shape: Element, size: tuple[int, int]) -> Annotation:
    left, top, width, height = map(int, _numbers(shape, "left", "top", "width", "height"))
    words = shape.get("rle", "").split(",")
    if not all(word.strip().isdecimal() and len(word) < 12 for word in words):
        raise RowError(f"'rle' is {shape.get('rle', '')!r:.40}, not numbers of pixels")
    counts = [int(word) for word in words]
    if min(width, height) <= 0:
        raise RowError(f"the mask is {width} x {height} pixels, which must be positive")
    if width > size[0] or height > size[1]:
        raise RowError(
            f"the mask is {width} x {height} pixels, but the image is {size[0]} x {size[1]}"
        )
    if sum(counts) != width * height:
        raise RowError(f"'rle' has {sum(counts)} pixels, but the mask is {width} x {height}")
    inside = np.arange(len(counts)) % 2 == 1
    mask = np.repeat(inside, counts).reshape(height, width)
    plain = _plain(shape, "rle", "left", "top", "width", "height")
    attributes = {**(plain.attributes or {}), "rle": to_coco_rle(mask, (left, top), size)}
    box = [left, top, left + width, top + height]
    return plain._replace(box=box, attributes=attributes)


_SHAPES = {
    "box": _box,
    "polygon": _outline,
    "polyline": _outline,
    "ellipse": _ellipse,
    "skeleton": _skeleton,
    "mask": _mask,
}


def _ring(shape: Element) -> list[float]:
    """The numbers of the attribute `points`, x y x y ...: `1,2;3,4` -> `[1, 2, 3, 4]`."""
    text = shape.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";")]
    if not all(len(pair) == 2 for pair in pairs):
        raise RowError(f"'points' is {text!r:.80}, not x,y;x,y;...")
    return [_number(word, "points") for pair in pairs for word in pair]


def _numbers(element: Element, *names: str) -> list[float]:
    return [_number(element.get(name), name) for name in names]


def _number(text: str | None, name: str) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RowError(f"{name!r} is {text!r:.80}, not a number")
    return number
