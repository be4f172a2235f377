"""Visual Genome: the regions, or the objects, of each image in one array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.columns import has_text
from curate.ingest.formats.json_elements import elements, object_keys
from curate.ingest.formats.json_fields import as_object, id_field
from curate.ingest.formats.json_object import SUFFIXES
from curate.ingest.formats.json_pieces import Element
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.grounding.annotations.coco_layout import BATCH_IMAGES, size_of
from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    Annotation,
    SpaceOverride,
    TrustSetting,
    grounding_records,
)
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import ROOT_DESCRIPTION, open_below, root_of
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES
from manifests.media import Media
from manifests.storage import File

FOLDERS = ("VG_100K", "VG_100K_2", "")
"""Where images lie below media_root, as the two archives of Visual Genome unpack."""
SPLIT_BYTES = 16 << 20
"""Of text (ours): some thousand images, each of which costs an opening."""
LISTS = ("regions", "objects")


class VisualGenome(Reader):
    """Visual Genome: `region_descriptions.json` or `objects.json`; the content tells which.

    An element is an image and a record. Of each of its regions the `phrase` becomes an object's
    text; of each of its objects the first of `names` becomes the label, and all of them an
    attribute where there are several. Boxes are x, y and `width`, `height` or `w`, `h`, in pixels.
    All other fields (`region_id`, `object_id`, `synsets`, ...) are attributes, those of the
    image go to `meta`. Images are `VG_100K/12.jpg`, `VG_100K_2/12.jpg` or `12.jpg` below
    `media_root`, by the `image_id` (`id` of regions that do not say). `image_data.json` beside the
    file, or where `image_data` says, tells the sizes that boxes are of, and goes to `meta`.

    A record's key is the file's name and the number of the element, from 0. A region without a
    phrase, an object without a name, or one without its four numbers fails alone
    (`12.regions[3]`).
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    modality: ClassVar[str] = "grounding"

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    image_data: str | None = Field(
        None, description="file of the images' sizes; null: `image_data.json` beside the file"
    )
    space: SpaceOverride = None
    trust: TrustSetting = False

    @classmethod
    def sniff(cls, head: Head) -> bool:
        start = head.data.lstrip(b"\xef\xbb\xbf \t\r\n")
        keys = set(object_keys(start[1:])) if start.startswith(b"[") else set()
        return not keys.isdisjoint(LISTS) and not keys.isdisjoint(("id", "image_id"))

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        place = context.media.resolve(file.uri)
        return array_splits(file, place, split_bytes=SPLIT_BYTES)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        root = root_of(self.media_root, file, context.base)
        known = _known(self._image_data(file, context))
        space = self.space or SPACES["coco"]
        samples: list[AnnotatedImage] = []
        for number, element in enumerate(elements(place, *split[1:]), 1):
            samples += _samples(element, root, known, context.media)
            if number % BATCH_IMAGES == 0:
                yield grounding_records(self, file, samples, space, context, self.trust)
                samples = []
        yield grounding_records(self, file, samples, space, context, self.trust)

    def _image_data(self, file: File, context: Context) -> str | None:
        uri = self.image_data or storage.join(root_of(None, file, context.base), "image_data.json")
        place = context.media.resolve(uri)
        if storage.size_and_stamp(place) is not None:
            return place
        if self.image_data is None:
            return None
        raise FileError("there is no such file.", uri, "The setting is 'image_data'.")


def _known(place: str | None) -> dict[str, dict[str, Any]]:
    """What image_data.json says of each image: 20 MB of text for all of Visual Genome."""
    known: dict[str, dict[str, Any]] = {}
    for element in elements(place) if place else ():
        try:
            entry = as_object(element)
            known[_image_id(entry)] = entry
        except RowError as error:
            raise FileError(f"element {element.number}: {error.fault}", place or "") from None
    return known


def _samples(
    element: Element, root: str, known: dict[str, dict[str, Any]], media: Media
) -> Iterator[AnnotatedImage]:
    """The record of an image, and what did not get into it."""
    annotations: list[Annotation] = []
    try:
        entry = as_object(element)
        name = next((name for name in LISTS if isinstance(entry.get(name), list)), None)
        if name is None:
            raise RowError(f"neither regions nor objects; there are: {', '.join(entry)}.")
        key = _image_id(entry)
        size = size_of(known.get(key, {}))
    except RowError as error:
        yield AnnotatedImage(element.number, error)
        return
    for number, one in enumerate(entry[name]):
        try:
            annotations.append(_region(one, key) if name == "regions" else _object(one, key))
        except RowError as error:
            yield AnnotatedImage(f"{element.number}.{name}[{number}]", error)
    told = {k: v for k, v in known.get(key, {}).items() if k not in ("width", "height")}
    meta = told | {k: v for k, v in entry.items() if k != name}
    yield AnnotatedImage(element.number, _image(root, key, media), annotations, size, meta=meta)


def _image(root: str, key: str, media: Media) -> OpenedImage | RowError:
    for folder in FOLDERS:
        path = "/".join([*([folder] if folder else []), f"{key}.jpg"])
        if storage.size_and_stamp(media.resolve(storage.join(root, path))) is not None:
            return open_below(root, path, media)
    return open_below(root, f"{FOLDERS[0]}/{key}.jpg", media)


def _image_id(holder: dict[str, Any]) -> str:
    return id_field(holder, "image_id" if "image_id" in holder else "id")


def _region(region: Any, image: str) -> Annotation:
    box, rest = _place(region, image)
    phrase = rest.pop("phrase", None)
    if not has_text(phrase):
        raise RowError(f"'phrase' is {phrase!r:.80}, which says nothing")
    return Annotation(box=box, text=phrase, attributes=_told(rest))


def _object(annotation: Any, image: str) -> Annotation:
    box, rest = _place(annotation, image)
    names = rest.pop("names", None)
    said = [n for n in names if has_text(n)] if isinstance(names, list) else []
    if not said:
        raise RowError(f"'names' is {names!r:.80}, which names nothing")
    several = {"names": said} if len(said) > 1 else {}
    return Annotation(said[0], box=box, attributes=several | _told(rest))


def _place(annotation: Any, image: str) -> tuple[list[float], dict[str, Any]]:
    """The box of a region or an object, and its other fields."""
    if not isinstance(annotation, dict):
        raise RowError(f"{annotation!r:.80} is not an object")
    if "image_id" in annotation and id_field(annotation, "image_id") != image:
        raise RowError(f"it is of image {annotation['image_id']}, not of {image}")
    sides = ("width", "height") if "width" in annotation else ("w", "h")
    box = [annotation.get(name) for name in ("x", "y", *sides)]
    numbers = [n for n in box if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(numbers) < 4:
        raise RowError(f"x, y, {sides[0]}, {sides[1]} are {box!r:.80}, not 4 numbers")
    spent = ("x", "y", *sides, "image_id")
    return numbers, {k: v for k, v in annotation.items() if k not in spent}


def _told(rest: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: most `synsets` and `merged_object_ids` are."""
    return {k: v for k, v in rest.items() if v not in ([], None)}
