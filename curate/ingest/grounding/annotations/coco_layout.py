"""The reader of COCO's layout that its relatives share: one record an image, with all its objects.

What an annotation and an image say is the business of each relative.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from curate.ingest.formats.coco_ids import earlier_ids
from curate.ingest.formats.json_elements import elements, members
from curate.ingest.formats.json_fields import as_object, id_field
from curate.ingest.formats.json_object import SUFFIXES, find_arrays
from curate.ingest.formats.json_pieces import Element
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.formats.lines import BATCH_BYTES
from curate.ingest.grounding.annotations.annotations_by_image import (
    Fault,
    image_ids,
    join,
    names_by_id,
    parsed,
)
from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    Annotation,
    SpaceOverride,
    TrustSetting,
    grounding_records,
)
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.geometry.space import Space
from manifests.storage import File

ARRAYS = ("images", "annotations", "categories")
SPLIT_BYTES, MOST_SPLITS = 64 << 20, 32
"""Of the file for each split, and how many at most: each holds its share of the annotations, but
looks through all of them (both ours; 300,000 with outlines, 170 MB, take 2.5 s)."""
BATCH_IMAGES = 1024
"""Images at once (ours): some 10 MB of objects, and enough of them to tell a wrong space."""


class _Image(NamedTuple):
    """An entry of `images`, or why it is none, and its annotations."""

    within: str
    entry: dict[str, Any] | RowError
    annotations: list[Element]


class CocoLayout(Reader):
    """`images` and `annotations` of one JSON object, joined by `image_id`.

    Splits are of `images`; each of them looks through all annotations once, and holds those of its
    own images.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    modality: ClassVar[str] = "grounding"
    own_space: ClassVar[Space]

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    space: SpaceOverride = None
    trust: TrustSetting = False

    @abstractmethod
    def sample(
        self, image: dict[str, Any], root: str, names: dict[str, str], context: Context
    ) -> AnnotatedImage:
        """The sample of an image, without its annotations. RowError where it says nonsense."""

    @abstractmethod
    def parse_annotations(
        self, entries: Sequence[dict[str, Any]], names: dict[str, str]
    ) -> list[Annotation | RowError]:
        """One for each annotation; `names` of the categories by id."""

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        place = context.media.resolve(file.uri)
        images = members(place).ranges.get("images")
        if images is None:
            yield Split((file,))
            return
        size = (images.stop if images.stop >= 0 else file.size) - images.start
        pieces = min(max(file.size // SPLIT_BYTES, 1), MOST_SPLITS)
        yield from array_splits(file, place, images, max(size // pieces, 1))

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        stretches, missing = find_arrays(place, ARRAYS)
        broken = list[Fault](missing)
        if not set(ARRAYS) <= stretches.keys():
            yield self._failed(file, broken, context)
            return
        root = root_of(self.media_root, file, context.base)
        names, nameless = names_by_id(place, stretches["categories"])
        own = image_ids(place, *split[1:])
        joined = join(place, stretches, split, own)
        whole = broken + nameless if split.first == 0 else []
        yield self._failed(file, whole + joined.broken, context)
        seen = earlier_ids(place, stretches["images"], split, own)
        images = _images(elements(place, *split[1:]), joined.annotations, seen)
        for batch in _batches(images):
            yield self._found(file, batch, root, names, context)

    def _failed(self, file: File, broken: Sequence[Fault], context: Context) -> ReadBatch:
        return self._records(
            file, [AnnotatedImage(within, error) for within, error in broken], context
        )

    def _records(
        self, file: File, samples: Sequence[AnnotatedImage], context: Context
    ) -> ReadBatch:
        space = self.space or self.own_space
        return grounding_records(self, file, samples, space, context, self.trust)

    def _found(
        self,
        file: File,
        images: Sequence[_Image],
        root: str,
        names: dict[str, str],
        context: Context,
    ) -> ReadBatch:
        elements_ = [element for image in images for element in image.annotations]
        annotations = self.parse_annotations([parsed(element) for element in elements_], names)
        answers = zip(elements_, annotations, strict=True)
        samples, broken = [], []
        for image in images:
            own: list[Annotation] = []
            for element, annotation in islice(answers, len(image.annotations)):
                if isinstance(annotation, RowError):
                    broken.append(AnnotatedImage(f"annotations[{element.number}]", annotation))
                else:
                    own.append(annotation)
            samples.append(self._sample(image, own, root, names, context))
        return self._records(file, samples + broken, context)

    def _sample(
        self,
        image: _Image,
        annotations: Sequence[Annotation],
        root: str,
        names: dict[str, str],
        context: Context,
    ) -> AnnotatedImage:
        if isinstance(image.entry, RowError):
            return AnnotatedImage(image.within, image.entry)
        try:
            sample = self.sample(image.entry, root, names, context)
        except RowError as error:
            return AnnotatedImage(image.within, error)
        return sample._replace(within=image.within, annotations=annotations)


def size_of(image: dict[str, Any]) -> tuple[float, float] | None:
    """The size an image says that it has. RowError where it can be none."""
    width, height = image.get("width"), image.get("height")
    if width is None or height is None:
        return None
    for side in (width, height):
        if isinstance(side, bool) or not isinstance(side, int | float) or side <= 0:
            raise RowError(f"width and height are {width!r:.40} and {height!r:.40}")
    return float(width), float(height)


def _images(
    entries: Iterator[Element], annotations: dict[str, list[Element]], seen: set[str]
) -> Iterator[_Image]:
    """A broken one goes by its place; annotations are handed on with the first of an id."""
    for element in entries:
        within = f"images[{element.number}]"
        try:
            entry = as_object(element)
            key = id_field(entry, "id")
            if key in seen:
                raise RowError(f"the id {key} comes a second time")
        except RowError as error:
            yield _Image(within, error, [])
            continue
        seen.add(key)
        yield _Image(key, entry, annotations.pop(key, []))


def _batches(images: Iterator[_Image]) -> Iterator[list[_Image]]:
    """BATCH_IMAGES, or BATCH_BYTES of annotations, at a time."""
    batch: list[_Image] = []
    size_bytes = 0
    for image in images:
        batch.append(image)
        size_bytes += sum(len(element.data) for element in image.annotations)
        if len(batch) == BATCH_IMAGES or size_bytes > BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
