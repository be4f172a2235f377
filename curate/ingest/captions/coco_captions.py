"""Captions in one JSON object a file: COCO's two joined arrays, Karpathy's, and SBU's columns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
from pydantic import Field

from curate.ingest.captions.records.coco_images import CocoImages
from curate.ingest.captions.records.rows import CaptionRow, batch_of_failures, batch_of_rows
from curate.ingest.columns import Names
from curate.ingest.file_template import Template
from curate.ingest.formats.coco_ids import SplitIds, earlier_ids, ids_in_split
from curate.ingest.formats.json_elements import batches, elements, object_keys
from curate.ingest.formats.json_fields import as_object, caption_field, id_field, text_field
from curate.ingest.formats.json_object import SUFFIXES, find_arrays, first_element, splits_of_array
from curate.ingest.formats.json_pieces import Element
from curate.ingest.images import OpenedImage
from curate.ingest.media_folder import MediaFolder, open_row_images
from curate.ingest.media_root import ROOT_DESCRIPTION, open_below, root_of
from curate.ingest.meta import to_json
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.media import Media
from manifests.storage import File


class CocoCaptions(Reader):
    """COCO captions: `images` and `annotations` of one JSON object, joined by `image_id`.

    Each annotation is a record: its image, `file_name` below `media_root`, and its `caption`;
    of a null caption, the image alone. An image without annotations makes no record. The other
    fields of the annotation, and under `image` those of its image, go to `meta`; width and height
    are those of the file. A record's key is the file's name and the annotation's id, which may
    come only once. Memory holds the images of one split, however many the file has.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_element(head, "annotations")
        if first is None:  # a file of no annotations is no fault
            return {"images", "annotations"} <= set(object_keys(head.data))
        return isinstance(first, dict) and "caption" in first and "image_id" in first

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of_array(file, context.media.resolve(file.uri), "annotations")

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        ranges, faults = find_arrays(place, ("images", "annotations"))
        wanted = ids_in_split(place, split) if "annotations" in ranges else SplitIds(set(), set())
        album = CocoImages(root_of(self.media_root, file, context.base), context.media)
        if "images" in ranges:
            faults += album.take(place, ranges["images"], wanted.images)
        if faults and split.first == 0:
            yield batch_of_failures(self, file, faults)
        if "annotations" in ranges:
            seen = earlier_ids(place, ranges["annotations"], split, wanted.annotations)
            for batch in batches(elements(place, *split[1:])):
                rows = [_annotated(element, seen, album) for element in batch]
                yield batch_of_rows(self, file, rows)


def _annotated(element: Element, seen: set[str], album: CocoImages) -> CaptionRow:
    within = f"annotations[{element.number}]"
    try:
        annotation = as_object(element)
        key = id_field(annotation, "id")
        if key in seen:
            raise RowError(f"the id {key} comes a second time")
        seen.add(key)
        within = key
        text = caption_field(annotation, "caption")
        image = album.image(id_field(annotation, "image_id"))
    except RowError as error:
        return CaptionRow(within, error)
    rest = {k: v for k, v in annotation.items() if k not in ("id", "caption")}
    return CaptionRow(within, image.opened, text, to_json({**rest, "image": image.rest}))


class Karpathy(Reader):
    """Karpathy's splits of COCO and Flickr: `images`, each with its `sentences`, in one object.

    Each sentence is a record: its image, `filepath/filename` below `media_root`, and its `raw`
    text. An image without sentences makes no record. `split`, `sentid` and all other fields go to
    `meta`, except the tokens. A record's key is the file's name and the numbers of the image and
    of its sentence, from 0: `12.3`.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    split: Names | None = Field(
        None, description="only images of these splits: train, restval, val, test; null: all"
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_element(head, "images")
        return isinstance(first, dict) and "sentences" in first and "filename" in first

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of_array(file, context.media.resolve(file.uri), "images")

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        root = root_of(self.media_root, file, context.base)
        ranges, faults = find_arrays(place, ("images",))
        if faults and split.first == 0:
            yield batch_of_failures(self, file, faults)
        if "images" in ranges:
            for batch in batches(elements(place, *split[1:])):
                rows = [row for e in batch for row in self._rows(e, root, context.media)]
                yield batch_of_rows(self, file, rows)

    def _rows(self, element: Element, root: str, media: Media) -> Iterator[CaptionRow]:
        try:
            image = as_object(element)
            if self.split is not None and image.get("split") not in self.split:
                return
            sentences = image.get("sentences")
            if not isinstance(sentences, list):
                raise RowError(f"'sentences' is {sentences!r:.80}, not a list")
            folders = [text_field(image, "filepath")] if image.get("filepath") else []
            path = "/".join([*folders, text_field(image, "filename")])
        except RowError as error:
            yield CaptionRow(element.number, error)
            return
        opened = open_below(root, path, media)
        rest = {k: v for k, v in image.items() if k not in _SENTENCES}
        for number, sentence in enumerate(sentences):
            yield _sentence(f"{element.number}.{number}", sentence, opened, rest)


_SENTENCES = ("sentences", "sentids", "filepath", "filename")


def _sentence(
    within: str, sentence: Any, opened: OpenedImage | RowError, rest: dict[str, Any]
) -> CaptionRow:
    try:
        if not isinstance(sentence, dict):
            raise RowError(f"{sentence!r:.80} is not an object")
        text = caption_field(sentence, "raw")
    except RowError as error:
        return CaptionRow(within, error)
    said = {k: v for k, v in sentence.items() if k not in ("raw", "tokens")}
    return CaptionRow(within, opened, text, to_json(rest | said))


class SbuCaptions(Reader):
    """SBU captions: one JSON object of columns, `image_urls` and `captions`, of equal length.

    Nothing is fetched: an image is the file below `media_root` that bears the last part of its
    url, with or without an ending such as .jpg. A null caption makes a record of the image
    alone. The url, and the user of `user_ids` where there is that column, go to `meta`. A
    record's key is the file's name and the number of the row, from 0.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    media_root: str = Field(description="folder that the images lie in")

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return isinstance(first_element(head, "image_urls"), str)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of_array(file, context.media.resolve(file.uri), "image_urls")

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        shelf = MediaFolder(self.media_root, context.base)
        ranges, faults = find_arrays(place, ("image_urls", "captions"))
        if faults and split.first == 0:
            yield batch_of_failures(self, file, faults)
        if not {"image_urls", "captions"} <= ranges.keys():
            return
        others = [
            islice(elements(place, *ranges[name]), split.first, None)
            for name in ("captions", "user_ids")
            if name in ranges
        ]
        for batch in batches(elements(place, *split[1:])):
            columns = [batch, *(list(islice(other, len(batch))) for other in others)]
            rows = _joined(list(zip_longest(*columns)), shelf, context)
            yield batch_of_rows(self, file, rows)
        if split.stop == ranges["image_urls"].stop:
            fault = RowError("a caption without a url: `image_urls` is shorter")
            yield batch_of_failures(
                self, file, [(f"captions[{e.number}]", fault) for e in others[0]]
            )


class _Pair(NamedTuple):
    """A row of the columns."""

    number: int
    url: str
    text: str | None
    meta: str


def _pair(url: Element, caption: Element | None, user: Element | None = None) -> _Pair:
    place = url.value()
    if not isinstance(place, str):
        raise RowError(f"the url is {place!r:.80}, not text")
    if caption is None:
        raise RowError("a url without a caption: `captions` is shorter")
    text = caption_field({"caption": caption.value()}, "caption")
    users = {} if user is None else {"user_id": user.value()}
    return _Pair(url.number, place, text, to_json({"url": place, **users}))


def _joined(cells: list[tuple[Any, ...]], shelf: MediaFolder, context: Context) -> list[CaptionRow]:
    pairs: list[_Pair] = []
    broken: list[CaptionRow] = []
    for row in cells:
        try:
            pairs.append(_pair(*row))
        except RowError as error:
            broken.append(CaptionRow(row[0].number, error))
    urls = pa.array([pair.url for pair in pairs], pa.string())
    images = open_row_images([Template("{url_name}")], {"url": urls}, urls, shelf, context)
    rows = [
        CaptionRow(pair.number, opened, pair.text, pair.meta)
        for pair, opened in zip(pairs, images, strict=True)
    ]
    return sorted(broken + rows, key=lambda row: int(row.within))
