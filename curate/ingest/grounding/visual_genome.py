"""Visual Genome: an array of images, each with its regions or its objects."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.columns import has_text
from curate.ingest.formats.json_elements import count_elements, elements, object_keys
from curate.ingest.formats.json_fields import as_object, id_field
from curate.ingest.formats.json_object import SUFFIXES
from curate.ingest.formats.json_pieces import Element
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.coco_layout import BATCH_IMAGES, size_of
from curate.ingest.grounding.annotations.fields import number_in, without
from curate.ingest.grounding.annotations.grounding_reader import GroundingReader
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import ROOT_DESCRIPTION, open_below, root_of
from curate.ingest.reader import Context, Count, Head, ReadBatch, Split, existing_files
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.media import Media
from manifests.storage import File

FOLDERS = ("VG_100K", "VG_100K_2", "")
"""The folders below `media_root` that may have the images, as in the two archives of Visual
Genome."""
SPLIT_BYTES = 16 << 20
"""Size of a split in bytes of text (our choice): some thousand images, each of which must be
opened."""
LISTS = ("regions", "objects")


class VisualGenome(GroundingReader):
    """Visual Genome: `region_descriptions.json` or `objects.json`, detected from its content.

        [{"id": 7, "regions": [{"region_id": 1, "image_id": 7, "phrase": "a brown dog",
                                "x": 64, "y": 48, "width": 64, "height": 48}]}]
        [{"image_id": 7, "objects": [{"object_id": 1, "names": ["dog"],
                                      "x": 64, "y": 48, "w": 64, "h": 48}]}]

    Each element of the array becomes a record. An entry of `regions` becomes an object of the
    record with its `phrase` as text. An entry of `objects` becomes an object of the record with the
    first of its `names` as label; if there are several names, all names become an attribute. Boxes
    are x, y and `width`, `height` or `w`, `h`, in pixels. All other fields (`region_id`,
    `object_id`, `synsets`, ...) become attributes, unless they are empty. Other fields of the
    element go to `meta`.

    Images are `VG_100K/7.jpg`, `VG_100K_2/7.jpg` or `7.jpg` below `media_root`, by the `image_id`
    (or else `id`) of the element. If there is an `image_data.json` beside the file, or a file named
    by the setting `image_data`, boxes refer to the image sizes in this file, and the other fields
    of this file go to `meta`.

    The key of a record is the file's name and the number of the element, from 0. A region without a
    phrase, an object without a name, and a region or object without its four numbers, or with the
    `image_id` of another image, become failures, with a place such as `12.regions[3]`. The record
    is made without them, and `curate.lost` in the record's `meta` states how many are missing. An
    image with several different entries in `image_data.json` fails.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    version: ClassVar[int] = 3
    own_space: ClassVar[Space] = SPACES["coco"]

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    image_data: str | None = Field(
        None,
        description="file with the sizes of the images; null: `image_data.json` beside the file",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        start = head.data.lstrip(codecs.BOM_UTF8 + b" \t\r\n")
        keys = set(object_keys(start[1:])) if start.startswith(b"[") else set()
        return not keys.isdisjoint(LISTS) and not keys.isdisjoint(("id", "image_id"))

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        place = context.media.resolve(file.uri)
        return array_splits(file, place, split_bytes=SPLIT_BYTES)

    def count(self, split: Split, context: Context) -> Count:
        """Returns the number of images in a split. The regions and objects of an image are not
        units of their own."""
        return count_elements(context.media.resolve(split.files[0].uri), *split[1:])

    def files_beside(self, files: Sequence[File], base: str) -> list[File]:
        return existing_files([self._image_data_uri(file) for file in files], base)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        root = root_of(self.media_root, file, context.base)
        image_data = _read_image_data(self._image_data(file, context))
        images: list[AnnotatedImage] = []
        for number, element in enumerate(
            elements(place, *split[1:], context.limits.max_row_bytes), 1
        ):
            images += _annotated(element, root, image_data, context.media)
            if number % BATCH_IMAGES == 0:
                yield self.records(file, images, context)
                images = []
        yield self.records(file, images, context)

    def _image_data_uri(self, file: File) -> str:
        return self.image_data or storage.join(storage.folder_of(file.uri), "image_data.json")

    def _image_data(self, file: File, context: Context) -> str | None:
        uri = self._image_data_uri(file)
        place = context.media.resolve(uri)
        if storage.size_and_stamp(place) is not None:
            return place
        if self.image_data is None:
            return None
        fix = "Set `image_data` to the path of `image_data.json`."
        raise FileError("the file with the sizes of the images does not exist.", uri, fix)


def _read_image_data(place: str | None) -> dict[str, dict[str, Any] | RowError]:
    """Returns the entries of `image_data.json` by image id, or an error for an image with several
    different entries. The entries of all images of Visual Genome are 20 MB of text."""
    entries: dict[str, dict[str, Any] | RowError] = {}
    for element in elements(place) if place else ():
        try:
            entry = as_object(element)
            key = _image_id(entry)
            if entries.setdefault(key, entry) != entry:
                entries[key] = RowError(
                    f"image_data.json has several different entries for image {key}"
                )
        except RowError as error:
            raise FileError(f"element {element.number}: {error.fault}", place or "") from None
    return entries


def _annotated(
    element: Element, root: str, image_data: dict[str, dict[str, Any] | RowError], media: Media
) -> Iterator[AnnotatedImage]:
    """Yields the errors of the regions or objects of an element, then the image of the element with
    its annotations. `image_data` has the entries of `image_data.json` by image id."""
    annotations: list[Annotation] = []
    try:
        entry = as_object(element)
        name = next((name for name in LISTS if isinstance(entry.get(name), list)), None)
        if name is None:
            raise RowError(
                "the element has neither a list `regions` nor a list `objects`; "
                f"its fields are: {', '.join(entry)}."
            )
        key = _image_id(entry)
        data = image_data.get(key, {})
        if isinstance(data, RowError):
            raise data
        size = size_of(data)
    except RowError as error:
        yield AnnotatedImage(element.number, error)
        return
    parse = _region if name == "regions" else _object
    for number, fields in enumerate(entry[name]):
        try:
            annotations.append(parse(fields, key))
        except RowError as error:
            yield AnnotatedImage(f"{element.number}.{name}[{number}]", error, units=0)
    meta = without(data, "width", "height") | without(entry, name)
    lost = len(entry[name]) - len(annotations)
    image = _open(root, key, media)
    yield AnnotatedImage(element.number, image, annotations, size, meta=meta, lost=lost)


def _open(root: str, key: str, media: Media) -> OpenedImage | RowError:
    """Opens the image with the id `key` in the first of the folders FOLDERS that has it. If none of
    the folders has the image, the error names the path in the first folder."""
    for folder in FOLDERS:
        path = "/".join([*([folder] if folder else []), f"{key}.jpg"])
        if storage.size_and_stamp(media.resolve(storage.join(root, path))) is not None:
            return open_below(root, path, media)
    return open_below(root, f"{FOLDERS[0]}/{key}.jpg", media)


def _image_id(holder: dict[str, Any]) -> str:
    return id_field(holder, "image_id" if "image_id" in holder else "id")


def _region(fields: Any, image: str) -> Annotation:
    box, rest = _box(fields, image)
    phrase = rest.pop("phrase", None)
    if not has_text(phrase):
        raise RowError(f"the field 'phrase' is {phrase!r:.80}, not text")
    return Annotation(box=box, text=phrase, attributes=_not_empty(rest))


def _object(fields: Any, image: str) -> Annotation:
    box, rest = _box(fields, image)
    given = rest.pop("names", None)
    names = [name for name in given if has_text(name)] if isinstance(given, list) else []
    if not names:
        raise RowError(f"the field 'names' is {given!r:.80}, not a list with at least one name")
    several = {"names": names} if len(names) > 1 else {}
    return Annotation(names[0], box=box, attributes=several | _not_empty(rest))


def _box(fields: Any, image: str) -> tuple[list[float], dict[str, Any]]:
    """Returns the box (x y width height) of a region or an object, and its other fields."""
    if not isinstance(fields, dict):
        raise RowError(f"the region or object is {fields!r:.80}, not a JSON object")
    if "image_id" in fields and id_field(fields, "image_id") != image:
        raise RowError(
            f"the image_id is {fields['image_id']}, but the region or object "
            f"belongs to image {image}"
        )
    sides = ("width", "height") if "width" in fields else ("w", "h")
    box = [fields.get(name) for name in ("x", "y", *sides)]
    numbers = [n for n in map(number_in, box) if n is not None]
    if len(numbers) < 4:
        raise RowError(f"the fields x, y, {sides[0]}, {sides[1]} are {box!r:.80}, not 4 numbers")
    return numbers, without(fields, "x", "y", *sides, "image_id")


def _not_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """Removes the fields with an empty value, because most `synsets` and `merged_object_ids` are
    empty lists."""
    return {name: value for name, value in fields.items() if value not in ([], None)}
