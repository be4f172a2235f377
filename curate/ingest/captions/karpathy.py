"""Karpathy's splits of COCO and Flickr: images with their sentences, in one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.captions.records.rows import (
    CaptionRow,
    batch_of_failures,
    batch_of_rows,
    one_unit_each,
)
from curate.ingest.formats.json_elements import batches, element_groups
from curate.ingest.formats.json_fields import as_object, caption_field, text_field
from curate.ingest.formats.json_object import (
    SUFFIXES,
    count_array,
    find_arrays,
    first_element,
    splits_of_array,
)
from curate.ingest.formats.json_pieces import Element
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import ROOT_DESCRIPTION, open_below, root_of
from curate.ingest.meta import to_json
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.media import Media
from manifests.setting_values import Names
from manifests.storage import File


class Karpathy(Reader):
    """Karpathy's splits of COCO and Flickr: one JSON object of `images` with their `sentences`.

        {"images": [{"filepath": "val2014", "filename": "9.jpg", "split": "val",
                     "sentences": [{"raw": "A cat on a sofa.", "tokens": [...]}]}]}

    Each sentence becomes a record with the image `filepath/filename` below `media_root`, followed
    by the sentence's `raw` text. Images without sentences, and images of other splits than the
    setting `split` names, are left aside: they are counted, but become neither records nor errors.
    `split`, `sentid` and all other fields go to `meta`, except the tokens. A record's key is the
    file's name, the index of the image and the index of the sentence in that image, both from 0:
    `12.3`.
    """

    version: ClassVar[int] = 4
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    split: Names | None = Field(
        None, description="splits of the data set to read: train, restval, val, test; null: all"
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_element(head, "images")
        return isinstance(first, dict) and "sentences" in first and "filename" in first

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits_of_array(file, context.media.resolve(file.uri), "images")

    def count(self, split: Split, context: Context) -> Count:
        place = context.media.resolve(split.files[0].uri)
        return count_array(place, split, "images")

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        root = root_of(self.media_root, file, context.base)
        ranges, faults = find_arrays(place, ("images",))
        if faults and split.first == 0:
            yield batch_of_failures(self, file, faults, units=0)
        if "images" in ranges:
            for batch in batches(element_groups(place, *split[1:], context.limits.max_row_bytes)):
                yield self._read_batch(file, batch, root, context.media)

    def _read_batch(self, file: File, batch: list[Element], root: str, media: Media) -> ReadBatch:
        """Makes the records of a batch of images. Each image counts as one unit in the counts of
        the reader, however many sentences the image has."""
        left_aside: Counter[str] = Counter()
        rows: list[CaptionRow] = []
        for element in batch:
            found = list(self._rows(element, root, media))
            kinds = [row for row in found if isinstance(row, str)]
            left_aside.update(kinds)
            rows += [row for row in found if not isinstance(row, str)]
        made = one_unit_each(batch_of_rows(self, file, rows), len(batch) - left_aside.total())
        return made._replace(left_aside=left_aside)

    def _rows(self, element: Element, root: str, media: Media) -> Iterator[CaptionRow | str]:
        """Yields one row for each sentence of an image, or the reason why the image is skipped. The
        image file is opened only once."""
        try:
            image = as_object(element)
            if self.split is not None and image.get("split") not in self.split:
                yield "image of another split"
                return
            sentences = image.get("sentences")
            if not isinstance(sentences, list):
                raise RowError(f"the field 'sentences' is {sentences!r:.80}, not a list")
            folders = [text_field(image, "filepath")] if image.get("filepath") else []
            path = "/".join([*folders, text_field(image, "filename")])
            if not sentences:
                yield "image without sentences"
                return
        except RowError as error:
            yield CaptionRow(element.number, error)
            return
        opened = open_below(root, path, media)
        fields = {k: v for k, v in image.items() if k not in _USED}
        for number, sentence in enumerate(sentences):
            yield _row(f"{element.number}.{number}", sentence, opened, fields)


_USED = ("sentences", "sentids", "filepath", "filename")


def _row(
    within: str, sentence: Any, opened: OpenedImage | RowError, fields: dict[str, Any]
) -> CaptionRow:
    """Makes the row of one sentence. `within` is the place of the sentence in the file (`12.3`).
    `fields` are the fields of the image; they go to `meta` with the remaining fields of the
    sentence."""
    try:
        if not isinstance(sentence, dict):
            raise RowError(f"the sentence is {sentence!r:.80}, not a JSON object")
        text = caption_field(sentence, "raw")
    except RowError as error:
        return CaptionRow(within, error)
    own = {k: v for k, v in sentence.items() if k not in ("raw", "tokens")}
    return CaptionRow(within, opened, text, to_json(fields | own))
