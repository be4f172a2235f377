"""A base class for readers of COCO's layout: `images`, `annotations` and `categories` in one JSON
object.

Formats with this layout (COCO itself, Omni3D) differ in the fields of an image and of an
annotation. Their readers implement the two methods that parse these fields.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from curate.ingest.formats.batching import BATCH_BYTES
from curate.ingest.formats.json_elements import elements, members
from curate.ingest.formats.json_fields import as_object, id_field
from curate.ingest.formats.json_object import SUFFIXES, count_array, find_arrays
from curate.ingest.formats.json_pieces import Element
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.annotations_by_image import (
    ImageIds,
    Joined,
    image_paths,
    join,
    parsed,
    read_image_ids,
)
from curate.ingest.grounding.annotations.categories import Categories, read_categories
from curate.ingest.grounding.annotations.fields import number_in
from curate.ingest.grounding.annotations.grounding_reader import GroundingReader, PlacedError
from curate.ingest.grounding.annotations.image_by_path_end import SharedEnds
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Count, ReadBatch, Split
from manifests.errors import RowError
from manifests.storage import File

ARRAYS = ("images", "annotations", "categories")
SPLIT_BYTES, MAX_SPLITS = 64 << 20, 32
"""Number of file bytes for each split, and the largest number of splits (both our choice). The
number is limited because each split scans all annotations of the file: 2.5 s for 300,000
annotations with polygons (170 MB)."""
BATCH_IMAGES = 1024
"""Number of images in a batch (our choice): some 10 MB of objects, and enough to detect a wrong
coordinate space."""


class CocoFile(NamedTuple):
    """A COCO file and what is needed to read its images: the folder of the images (`root`), the
    categories of the file, and the ends of image paths that several images have, such as `1.jpg`
    (`shared`)."""

    file: File
    root: str
    categories: Categories
    context: Context
    shared: SharedEnds


class _ImageEntry(NamedTuple):
    """An entry of `images`, with the annotations of this image. `fields` is an error if the entry
    is broken. `within` is the image id, or the place of a broken entry, such as `images[7]`.
    `broken` is the number of the image's annotations that cannot be read."""

    within: str
    fields: dict[str, Any] | RowError
    annotations: list[Element]
    broken: int = 0


class CocoLayout(GroundingReader):
    """A reader of one JSON object whose `annotations` are joined to its `images` by `image_id`.

    Each split has a range of `images`. The task that reads a split scans all annotations of the
    file once, and holds only the annotations of the split's images in memory.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    counts_while_reading: ClassVar[bool] = True

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)

    @abstractmethod
    def parse_image(self, key: str, fields: dict[str, Any], coco: CocoFile) -> AnnotatedImage:
        """Makes an annotated image, still without annotations, from the fields of an entry of
        `images`. `key` is the image id. Raises RowError if a field is malformed."""

    @abstractmethod
    def parse_annotations(
        self, entries: Sequence[dict[str, Any]], categories: Categories
    ) -> list[Annotation | RowError]:
        """Makes an annotation, or an error, from the fields of each entry of `annotations`."""

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        place = context.media.resolve(file.uri)
        images = members(place).ranges.get("images")
        if images is None:
            yield Split((file,))
            return
        size = (images.stop if images.stop >= 0 else file.size) - images.start
        pieces = min(max(file.size // SPLIT_BYTES, 1), MAX_SPLITS)
        yield from array_splits(file, place, images, max(size // pieces, 1))

    def count(self, split: Split, context: Context) -> Count:
        """Returns the number of images in a split. For the first split, the number of all
        annotations in the file is added."""
        place = context.media.resolve(split.files[0].uri)
        return count_array(place, split, "images", of_all="annotations")

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        arrays, errors = find_arrays(place, ARRAYS)
        if not set(ARRAYS) <= arrays.keys():
            yield self._lost(errors, split, context)
            return
        root = root_of(self.media_root, file, context.base)
        categories, unnamed = read_categories(place, arrays["categories"])
        ids = read_image_ids(place, arrays["images"], split)
        joined = join(place, arrays["annotations"], split, ids)
        is_cut = any(where == "object" for where, _ in errors)
        joined.broken[None] += is_cut  # annotations after the error of a file are not read
        of_file = errors + unnamed if split.first == 0 else []
        yield self.failures(file, of_file, context, units=0)
        failed = self.failures(file, joined.errors, context)
        yield failed._replace(found=self._found(joined, split, context))
        shared = SharedEnds(
            lambda: image_paths(place, arrays["images"]), ("coco", context.base, file)
        )
        images = _image_entries(elements(place, *split[1:]), joined, ids)
        for batch in _batches(images):
            yield self._batch(batch, CocoFile(file, root, categories, context, shared))

    def _lost(self, errors: Sequence[PlacedError], split: Split, context: Context) -> ReadBatch:
        """Makes the failures of a file without one of the arrays, such as `annotations`: none of
        its images can be read. The first failure stands for all images of the split, and states
        their number."""
        place = context.media.resolve(split.files[0].uri)
        found = self.failures(split.files[0], errors, context, units=0)
        first, *more = found.failures
        hidden, images = self.count(split, context), count_array(place, split, "images")
        first = first._replace(units=hidden.units, rows=max(1, images.units))
        return found._replace(failures=[first, *more])

    def _found(self, joined: Joined, split: Split, context: Context) -> Count:
        """Returns the number of images of this split and of their annotations. The records and
        failures of the split must count as many units. In the first split, the number of
        annotations that belong to no image is added.

        The sum over all splits equals the sum of `count` over all splits, although `count` adds all
        annotations to the number of the first split.
        """
        found = self.count(split, context)
        if split.first == 0:
            return found._replace(units=found.units - joined.elsewhere)
        return found._replace(units=found.units + sum(map(len, joined.annotations.values())))

    def _batch(self, images: Sequence[_ImageEntry], coco: CocoFile) -> ReadBatch:
        entries = [element for image in images for element in image.annotations]
        fields = [parsed(entry) for entry in entries]
        pairs = zip(entries, self.parse_annotations(fields, coco.categories), strict=True)
        annotated, failed = [], []
        for image in images:
            own: list[Annotation] = []
            lost = image.broken
            for entry, annotation in islice(pairs, len(image.annotations)):
                if isinstance(annotation, RowError):
                    failed.append(AnnotatedImage(f"annotations[{entry.number}]", annotation))
                    lost += 1
                    continue
                if annotation.fault is not None:
                    within = f"annotations[{entry.number}].segmentation"
                    failed.append(AnnotatedImage(within, annotation.fault, units=0))
                own.append(annotation)
            found = self._annotated(image, own, coco)
            annotated.append(found._replace(lost=lost, units=1 + len(own)))
        return self.records(coco.file, annotated + failed, coco.context)

    def _annotated(
        self, image: _ImageEntry, annotations: Sequence[Annotation], coco: CocoFile
    ) -> AnnotatedImage:
        if isinstance(image.fields, RowError):
            return AnnotatedImage(image.within, image.fields)
        try:
            annotated = self.parse_image(image.within, image.fields, coco)
        except RowError as error:
            return AnnotatedImage(image.within, error)
        return annotated._replace(annotations=annotations)


def size_of(image: dict[str, Any]) -> tuple[float, float] | None:
    """Returns the size (width, height) that an entry of `images` states; None if the entry states
    no size. Raises RowError if the size is malformed.

    `size_of({"width": 640, "height": 480}) -> (640.0, 480.0)`
    """
    given = image.get("width"), image.get("height")
    if None in given:
        return None
    width, height = (number_in(side) or 0.0 for side in given)
    if min(width, height) <= 0:
        raise RowError(
            f"width and height are {given[0]!r:.40} and {given[1]!r:.40}, not positive numbers"
        )
    return width, height


def _image_entries(
    entries: Iterator[Element], joined: Joined, ids: ImageIds
) -> Iterator[_ImageEntry]:
    """Yields the entries of `images`, each with its annotations. If several entries have the same
    id, each of them is yielded with an error in place of its fields."""
    for element in entries:
        within = f"images[{element.number}]"
        try:
            fields = as_object(element)
            key = id_field(fields, "id")
            if key in ids.repeated:
                raise RowError(ids.repeated[key], fix="Give each image its own id.")
        except RowError as error:
            yield _ImageEntry(within, error, [])
            continue
        yield _ImageEntry(key, fields, joined.annotations.pop(key, []), joined.lost(key))


def _batches(images: Iterator[_ImageEntry]) -> Iterator[list[_ImageEntry]]:
    """Yields batches of BATCH_IMAGES images. A batch has fewer images if their annotations exceed
    BATCH_BYTES."""
    batch: list[_ImageEntry] = []
    size_bytes = 0
    for image in images:
        batch.append(image)
        size_bytes += sum(len(element.data) for element in image.annotations)
        if len(batch) == BATCH_IMAGES or size_bytes > BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
