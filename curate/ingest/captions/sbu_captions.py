"""SBU captions: columns of urls and captions in one JSON object, and images in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from typing import ClassVar, NamedTuple

import pyarrow as pa
from pydantic import Field

from curate.ingest.captions.records.rows import CaptionRow, batch_of_failures, batch_of_rows
from curate.ingest.evidence import Findings
from curate.ingest.file_template import Template
from curate.ingest.formats.json_elements import ByteRange, batches, element_groups, elements
from curate.ingest.formats.json_fields import caption_field
from curate.ingest.formats.json_object import (
    SUFFIXES,
    count_array,
    find_arrays,
    first_element,
    splits_of_array,
)
from curate.ingest.formats.json_pieces import Element
from curate.ingest.last_parts import LastParts, check_last_parts
from curate.ingest.media_folder import MediaFolder, open_row_images
from curate.ingest.meta import to_json
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.storage import File


class SbuCaptions(Reader):
    """SBU captions: one JSON object of columns, `image_urls` and `captions`, of equal length.

        {"image_urls": ["http://static.flickr.com/2723/4385058960_b0f291553e.jpg", ...],
         "captions": ["A wooden chair in the living room", ...], "user_ids": ["47889917@N08", ...]}

    Nothing is downloaded: an image is the file below `media_root` whose name is the last part of
    its url, with or without a suffix such as .jpg. If several urls of the file have the same last
    part, their rows are quarantined, because nothing shows from which of these urls the image was
    downloaded. A row with a null caption becomes a record with only the image. The url goes to
    `meta`, and so does the user id if there is a column `user_ids`. A record's key is the file's
    name and the number of the row, from 0.
    """

    version: ClassVar[int] = 4
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    media_root: str = Field(description="folder of the images")

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return isinstance(first_element(head, "image_urls"), str)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of_array(file, context.media.resolve(file.uri), "image_urls")

    def count(self, split: Split, context: Context) -> Count:
        """The number of urls in a split. Captions without a url become failures, but are not part
        of this number."""
        place = context.media.resolve(split.files[0].uri)
        return count_array(place, split, "image_urls")

    def check_evidence(self, evidence: Findings) -> None:
        check_last_parts(evidence, self.path)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        folder = MediaFolder(self.media_root, context.base)
        ranges, faults = find_arrays(place, ("image_urls", "captions"), ("user_ids",))
        if not {"image_urls", "captions"} <= ranges.keys():
            hidden = self.count(split, context).units
            yield batch_of_failures(self, file, faults[:1], units=hidden)
            faults = faults[1:]
        if faults and split.first == 0:
            yield batch_of_failures(self, file, faults, units=0)
        if not {"image_urls", "captions"} <= ranges.keys():
            return
        last_parts = LastParts(
            context.base, file, "image_urls", lambda: _urls(place, ranges["image_urls"])
        )
        others = [
            islice(elements(place, *ranges[name]), split.first, None)
            for name in ("captions", "user_ids")
            if name in ranges
        ]
        for batch in batches(element_groups(place, *split[1:], context.limits.max_row_bytes)):
            columns = [batch, *(list(islice(other, len(batch))) for other in others)]
            rows = _join_images(list(zip_longest(*columns)), folder, context, last_parts)
            found = batch_of_rows(self, file, rows)
            yield found._replace(evidence=last_parts.evidence())
        if split.stop == ranges["image_urls"].stop:
            fault = RowError("the caption has no url: `image_urls` is shorter than `captions`")
            rest = [(f"captions[{e.number}]", fault) for e in others[0]]
            yield batch_of_failures(self, file, rest, units=0)


def _urls(place: str, array: ByteRange) -> Iterator[pa.Array]:
    """Yields the urls of all rows of the file, so that urls with the same last part can be found. A
    url that cannot be read is left out; its row is quarantined anyway."""
    for batch in batches(element_groups(place, *array)):
        urls = (_url(element) for element in batch)
        yield pa.array([url for url in urls if url is not None], pa.string())


def _url(element: Element) -> str | None:
    try:
        value = element.value()
    except RowError:
        return None
    return value if isinstance(value, str) else None


class _Row(NamedTuple):
    number: int
    url: str
    text: str | None
    meta: str


def _row(url: Element, caption: Element | None, user: Element | None = None) -> _Row:
    """Makes a row of the table. `caption` or `user` is None if its column is shorter than the
    column of urls."""
    address = url.value()
    if not isinstance(address, str):
        raise RowError(f"the url is {address!r:.80}, not text")
    if caption is None:
        raise RowError("the url has no caption: `captions` is shorter than `image_urls`")
    text = caption_field({"caption": caption.value()}, "caption")
    users = {} if user is None else {"user_id": user.value()}
    return _Row(url.number, address, text, to_json({"url": address, **users}))


def _join_images(
    cells: Sequence[tuple[Element, ...]],
    folder: MediaFolder,
    context: Context,
    last_parts: LastParts,
) -> list[CaptionRow]:
    """Opens the image of each row, by the last part of the row's url. `cells` has the url, the
    caption and the user id of each row. Returns the rows in file order. A row that is malformed, or
    whose image cannot be opened, has the error in place of an image."""
    rows: list[_Row] = []
    broken: list[CaptionRow] = []
    for row in cells:
        try:
            rows.append(_row(*row))
        except RowError as error:
            broken.append(CaptionRow(row[0].number, error))
    urls = pa.array([row.url for row in rows], pa.string())
    images = open_row_images(
        [Template("{url_name}")], {"url": urls}, urls, folder, context, last_parts
    )
    joined = [
        CaptionRow(row.number, opened, row.text, row.meta)
        for row, opened in zip(rows, images, strict=True)
    ]
    return sorted(broken + joined, key=lambda row: int(row.within))
