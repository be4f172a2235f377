"""CVAT for images: one XML file with the shapes of many images."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple
from xml.etree.ElementTree import Element

from pydantic import Field

from curate.ingest.formats.chunks import read_chunks, with_compressed
from curate.ingest.formats.xml_files import children, plain_value
from curate.ingest.formats.xml_tags import tags
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.coco_layout import BATCH_IMAGES
from curate.ingest.grounding.annotations.cvat_shapes import (
    SHAPES,
    attributes_of,
    numbers_of,
    plain_annotation,
    ring_of,
)
from curate.ingest.grounding.annotations.fields import without
from curate.ingest.grounding.annotations.grounding_reader import GroundingReader
from curate.ingest.grounding.annotations.image_by_path_end import ImageFolder, SharedEnds
from curate.ingest.grounding.annotations.object_parts import join_parts
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

    Each `<image>` becomes a record. The image file is `name` (`subset/name` if the `<image>` has a
    `subset`) below `media_root`, or below the folder `images` in `media_root`, as in CVAT's own
    export. Leading folders of `name` that do not exist are removed, unless the names of two images
    in the export would then be equal. The other attributes of the `<image>` go to `meta`, and its
    `<tag>` elements go to `meta` under `tags`.

    A `<box>` becomes a box; with a `rotation` it becomes a ring of four points and the box around
    the ring. A `<polygon>` or `<polyline>` becomes one ring, although a line is open. An
    `<ellipse>` becomes the box around the ellipse. A `<mask>` becomes a box and a run-length mask
    in the attribute `rle` (COCO's form, which the step `masks` reads). A `<skeleton>` becomes an
    object with the attribute `points`. The attribute `shape` is the type of the shape, such as
    `polygon`. `occluded`, `z_order`, `source` and the other XML attributes become attributes, and
    CVAT's `<attribute>` elements become the attribute `attributes`.

    A `<points>` with several points may be several objects, or the landmarks of one object: the
    setting `points` chooses. Shapes with the same label and the same `group_id` may be several
    objects, or the parts of one object: the setting `group_id` chooses. If the setting is not set,
    an image with such shapes is quarantined.

    A shape that is malformed, or that has a type that is not supported (`<cuboid>`), becomes a
    failure, and the record is made without this shape; `curate.lost` in the record's `meta` states
    how many shapes are missing. Images with the same name are quarantined, and so is a `<track>`,
    which is part of a video. The key of a record is the file's name and the number of the element,
    from 0.
    """

    version: ClassVar[int] = 2
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
        start = head.data.removeprefix(codecs.BOM_UTF8).lstrip()
        return start.startswith(b"<") and _ROOT.search(start[:4096]) is not None

    def count(self, split: Split, context: Context) -> Count:
        """Counts the tags `<image>` and `<track>`, without parsing the elements."""
        place = context.media.resolve(split.files[0].uri)
        return Count("elements", sum(1 for _ in tags(read_chunks(place), UNITS)))

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        folder = _Folder.of(root_of(self.media_root, file, context.base), split, context)
        fault: FileError | None = None
        batch: list[AnnotatedImage] = []
        try:
            for found in self._found(split, context, folder):
                batch += found
                if len(batch) >= BATCH_IMAGES:
                    yield self.records(file, batch, context)
                    batch = []
        except FileError as error:  # what was read before it is complete
            fault = error
        yield self.records(file, batch, context)
        if fault is not None:
            raise fault

    def _found(
        self, split: Split, context: Context, folder: _Folder
    ) -> Iterator[list[AnnotatedImage]]:
        """Yields a list for each child of `<annotations>`: its image and failures, then a failure
        for each `<image>` or `<track>` inside the child, because these must not be nested."""
        file, limit = split.files[0], context.limits.max_row_bytes
        chunks = read_chunks(context.media.resolve(file.uri))
        number = nested = 0
        for element in children(chunks, file.uri, "annotations", limit):
            if element.tag in UNITS:
                yield self._images(number, element, folder)
                number += 1
            for tag in UNITS:
                for inner in element.iter(tag):
                    if inner is not element:
                        yield [_misplaced(nested, inner, element)]
                        nested += 1

    def _images(self, number: int, element: Element, folder: _Folder) -> list[AnnotatedImage]:
        """Returns the annotated image of an `<image>` element, then a failure for each shape of the
        image that cannot be read."""
        try:
            if element.tag == "track":
                raise RowError(_VIDEO)
            return self._image(number, element, folder)
        except RowError as error:
            return [AnnotatedImage(number, error)]

    def _image(self, number: int, element: Element, folder: _Folder) -> list[AnnotatedImage]:
        image = folder.open(element)
        shapes = [child for child in element if child.tag not in ("tag", *UNITS)]
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
        read = SHAPES.get(shape.tag)
        if shape.tag == "points":
            return self._points(shape)
        if read is None:
            raise RowError(
                "a shape of this kind is not supported.",
                fix="Draw a box, a polygon or a mask, or leave the shape in quarantine.",
            )
        return [read(shape, size)]

    def _points(self, shape: Element) -> list[Annotation]:
        plain, (ring,) = plain_annotation(shape, "points"), [ring_of(shape)]
        points = [ring[at : at + 2] for at in range(0, len(ring), 2)]
        if len(points) > 1 and self.points is None:
            raise _TwoReadings(
                f"a <points> shape with the label {plain.label!r:.80} has {len(points)} points, "
                f"which may be {len(points)} objects, or the landmarks of one object.",
                fix="Set `points` to objects or landmarks.",
            )
        if len(points) > 1 and self.points == "landmarks":
            return [plain._replace(attributes={**(plain.attributes or {}), "points": points})]
        return [plain._replace(point=point) for point in points]

    def _grouped(self, shapes: Sequence[Sequence[Annotation]]) -> list[Annotation]:
        """Returns the objects of the image. `shapes` has the annotations of each shape. Shapes with
        the same label and `group_id` are joined to one object if the setting `group_id` is `parts`.
        Annotations of the same shape are never joined."""
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
                f"several shapes with the label {label!r:.80} have the group_id {group}, so these "
                "shapes may be the parts of one object, or several objects.",
                fix="Set the setting `group_id` of the source to parts or objects.",
            )
        return [one for shape in shapes for one in shape]


def _misplaced(number: int, inner: Element, outer: Element) -> AnnotatedImage:
    """Makes the failure of an `<image>` or `<track>` inside another element of the file."""
    fault = (
        f"the <{inner.tag}> with the name {inner.get('name', '')!r:.80} is inside a <{outer.tag}>, "
        "so it is not read."
    )
    fix = "Move it to the children of <annotations>."
    return AnnotatedImage(f"nested[{number}]", RowError(fault, fix=fix))


class _TwoReadings(RowError):
    """The error of a shape that can be read in two ways. With this error, the whole image fails,
    not only the shape: the setting that chooses one of the ways applies to all shapes of the
    image."""


class _Folder(NamedTuple):
    """What is needed to find images: `places` are the folders that may have the images, and
    `repeated` are the paths that several images have."""

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
        """Opens the image of an `<image>` element: the file in the folder `images` below
        `media_root` or, if there is no such file, the file below `media_root` itself."""
        path = _path(image.attrib)
        if not path:
            raise RowError(
                "the <image> has no attribute `name`.",
                fix="Write the path of the image into the attribute `name`.",
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
    """Returns the path of an image in CVAT's export: `subset/name`, or `name` if there is no
    subset. `image` has the XML attributes of the `<image>` element."""
    subset, name = image.get("subset"), image.get("name", "")
    return f"{subset}/{name}" if subset and name else name


def _size(image: Element, context: Context) -> tuple[float, float]:
    width, height = numbers_of(image, "width", "height")
    if min(width, height) <= 0:
        raise RowError(
            f"the <image> states a size of {width:g} x {height:g} pixels, which must be positive.",
            fix="Write the size of the image in its attributes width and height.",
        )
    if width * height > context.limits.max_pixels:
        raise RowError(
            f"the <image> states a size of {width:g} x {height:g} pixels, which is over the limit "
            f"of {context.limits.max_pixels} pixels.",
            fix="Raise media.max_pixels, or leave the file in quarantine.",
        )
    return width, height


def _meta(image: Element) -> dict[str, Any]:
    tagged = [attributes_of(child) for child in image if child.tag == "tag"]
    plain = {name: plain_value(value) for name, value in image.attrib.items()}
    return without(plain, "width", "height") | ({"tags": tagged} if tagged else {})


def _group(annotation: Annotation) -> tuple[str | None, Any] | None:
    group = (annotation.attributes or {}).get("group_id")
    return None if group is None else (annotation.label, group)
