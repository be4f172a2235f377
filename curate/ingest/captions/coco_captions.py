"""Captions in one JSON object a file: COCO's two joined arrays, Karpathy's, and SBU's columns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
from pydantic import Field

from curate.ingest.columns import Names, dumped
from curate.ingest.formats.coco_join import Album, Wanted, id_of, seen_before, wanted_by
from curate.ingest.formats.json_captions import (
    SUFFIXES,
    Row,
    arrays,
    caption_of,
    first_of,
    found_rows,
    object_of,
    splits_of,
    text_of,
)
from curate.ingest.formats.json_elements import Element, batches, elements, object_keys
from curate.ingest.images import OpenedImage
from curate.ingest.media_folder import Shelf, Template, joined, opened_below
from curate.ingest.media_root import DESCRIPTION, root_of
from curate.ingest.reader import Context, Found, Head, Reader, Split
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

    media_root: str | None = Field(None, description=DESCRIPTION)

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_of(head, "annotations")
        if first is None:  # a file of no annotations is no fault
            return {"images", "annotations"} <= set(object_keys(head.data))
        return isinstance(first, dict) and "caption" in first and "image_id" in first

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of(file, context.media.resolve(file.uri), "annotations")

    def read(self, split: Split, context: Context) -> Iterator[Found]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        stretches, broken = arrays(place, ("images", "annotations"))
        wanted = wanted_by(place, split) if "annotations" in stretches else Wanted(set(), set())
        album = Album(root_of(self.media_root, file, context.base), context.media)
        if "images" in stretches:
            broken += album.take(place, stretches["images"], wanted.images)
        if broken and split.first == 0:
            yield found_rows(self, file, broken)
        if "annotations" in stretches:
            seen = seen_before(place, stretches["annotations"], split, wanted.ids)
            for batch in batches(elements(place, *split[1:])):
                rows = [_annotated(element, seen, album) for element in batch]
                yield found_rows(self, file, rows)


def _annotated(element: Element, seen: set[str], album: Album) -> Row:
    within = f"annotations[{element.number}]"
    try:
        annotation = object_of(element)
        key = id_of(annotation, "id")
        if key in seen:
            raise RowError(f"the id {key} comes a second time")
        seen.add(key)
        within = key
        text = caption_of(annotation, "caption")
        image = album.image(id_of(annotation, "image_id"))
    except RowError as error:
        return Row(within, error)
    rest = {k: v for k, v in annotation.items() if k not in ("id", "caption")}
    return Row(within, image.opened, text, dumped({**rest, "image": image.rest}))


class Karpathy(Reader):
    """Karpathy's splits of COCO and Flickr: `images`, each with its `sentences`, in one object.

    Each sentence is a record: its image, `filepath/filename` below `media_root`, and its `raw`
    text. An image without sentences makes no record. `split`, `sentid` and all other fields go to
    `meta`, except the tokens. A record's key is the file's name and the numbers of the image and
    of its sentence, from 0: `12.3`.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    media_root: str | None = Field(None, description=DESCRIPTION)
    split: Names | None = Field(
        None, description="only images of these splits: train, restval, val, test; null: all"
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_of(head, "images")
        return isinstance(first, dict) and "sentences" in first and "filename" in first

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of(file, context.media.resolve(file.uri), "images")

    def read(self, split: Split, context: Context) -> Iterator[Found]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        root = root_of(self.media_root, file, context.base)
        stretches, broken = arrays(place, ("images",))
        if broken and split.first == 0:
            yield found_rows(self, file, broken)
        if "images" in stretches:
            for batch in batches(elements(place, *split[1:])):
                rows = [row for e in batch for row in self._rows(e, root, context.media)]
                yield found_rows(self, file, rows)

    def _rows(self, element: Element, root: str, media: Media) -> Iterator[Row]:
        try:
            image = object_of(element)
            if self.split is not None and image.get("split") not in self.split:
                return
            sentences = image.get("sentences")
            if not isinstance(sentences, list):
                raise RowError(f"'sentences' is {sentences!r:.80}, not a list")
            folders = [text_of(image, "filepath")] if image.get("filepath") else []
            path = "/".join([*folders, text_of(image, "filename")])
        except RowError as error:
            yield Row(element.number, error)
            return
        opened = opened_below(root, path, media)
        rest = {k: v for k, v in image.items() if k not in _SENTENCES}
        for number, sentence in enumerate(sentences):
            yield _sentence(f"{element.number}.{number}", sentence, opened, rest)


_SENTENCES = ("sentences", "sentids", "filepath", "filename")


def _sentence(
    within: str, sentence: Any, opened: OpenedImage | RowError, rest: dict[str, Any]
) -> Row:
    try:
        if not isinstance(sentence, dict):
            raise RowError(f"{sentence!r:.80} is not an object")
        text = caption_of(sentence, "raw")
    except RowError as error:
        return Row(within, error)
    said = {k: v for k, v in sentence.items() if k not in ("raw", "tokens")}
    return Row(within, opened, text, dumped(rest | said))


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
        return isinstance(first_of(head, "image_urls"), str)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of(file, context.media.resolve(file.uri), "image_urls")

    def read(self, split: Split, context: Context) -> Iterator[Found]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        shelf = Shelf(self.media_root, context.base)
        stretches, broken = arrays(place, ("image_urls", "captions"))
        if broken and split.first == 0:
            yield found_rows(self, file, broken)
        if not {"image_urls", "captions"} <= stretches.keys():
            return
        others = [
            islice(elements(place, *stretches[name]), split.first, None)
            for name in ("captions", "user_ids")
            if name in stretches
        ]
        for batch in batches(elements(place, *split[1:])):
            columns = [batch, *(list(islice(other, len(batch))) for other in others)]
            rows = _joined(list(zip_longest(*columns)), shelf, context)
            yield found_rows(self, file, rows)
        if split.stop == stretches["image_urls"].stop:
            fault = RowError("a caption without a url: `image_urls` is shorter")
            yield found_rows(self, file, [Row(f"captions[{e.number}]", fault) for e in others[0]])


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
    text = caption_of({"caption": caption.value()}, "caption")
    users = {} if user is None else {"user_id": user.value()}
    return _Pair(url.number, place, text, dumped({"url": place, **users}))


def _joined(cells: list[tuple[Any, ...]], shelf: Shelf, context: Context) -> list[Row]:
    pairs: list[_Pair] = []
    broken: list[Row] = []
    for row in cells:
        try:
            pairs.append(_pair(*row))
        except RowError as error:
            broken.append(Row(row[0].number, error))
    urls = pa.array([pair.url for pair in pairs], pa.string())
    images = joined([Template("{url_name}")], {"url": urls}, urls, shelf, context)
    rows = [
        Row(pair.number, opened, pair.text, pair.meta)
        for pair, opened in zip(pairs, images, strict=True)
    ]
    return sorted(broken + rows, key=lambda row: int(row.within))
