"""Conversations about images, in the layouts of LLaVA, ShareGPT and Qwen's fine-tuning data."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from curate.ingest.captions.records.rows import one_unit_each
from curate.ingest.conversations import (
    BOX,
    NAME,
    add_chat,
    chat_segments,
    check_placeholders,
    turns_of,
)
from curate.ingest.formats.chunks import with_compressed
from curate.ingest.formats.json_elements import (
    batches,
    count_elements,
    element_groups,
    is_array,
    object_keys,
)
from curate.ingest.formats.json_heads import first_keys
from curate.ingest.formats.json_pieces import BLANKS, Element
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.formats.lines import LongLine, count_lines, line_batches, line_splits
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.message_parts import ChatSegment, image_source, open_source
from curate.ingest.meta import to_json
from curate.ingest.reader import (
    SPLIT_BYTES,
    Context,
    Count,
    Failure,
    Head,
    ReadBatch,
    Reader,
    Split,
)
from manifests import record
from manifests.errors import RowError
from manifests.storage import File

TURNS = ("conversations", "messages")
IMAGES = ("image", "images")
VIDEOS = ("video", "videos")


class Llava(Reader):
    """LLaVA, ShareGPT and Qwen fine-tuning data: a JSON array or JSON lines of conversations.

        {"id": "1", "image": "coco/1.jpg", "conversations": [
            {"from": "human", "value": "<image>\\nWhat is this?"},
            {"from": "gpt", "value": "A cat."}]}

        {"images": ["1.jpg"], "messages": [
            {"role": "user", "content": "<image>What is this?"},
            {"role": "assistant", "content": "A cat."}]}

    Each sample becomes a chat record, with an image in place of each `<image>` tag in the user
    turns; a `system` text becomes the first turn. The content of a turn may be a list of parts; a
    part that names an image (`image`, `image_url`, `path`, `url`, `base64`, `index`) shows this
    image. Image paths are relative to `media_root`. An element or line may itself be an array of
    samples: each sample in it becomes a record. All other fields go to `meta`. The content of a
    file, not its suffix, decides whether the file is read as an array or as lines. Samples with
    videos are quarantined, because this reader does not support videos.

    A record's key is the file's name and the number of the element, from 0, or of the line, from 1.
    If element 12 is an array, its samples have the numbers `12.0`, `12.1`, and so on.
    """

    version: ClassVar[int] = 4
    suffixes: ClassVar[tuple[str, ...]] = with_compressed(".json", ".jsonl", ".ndjson")
    modalities: ClassVar[tuple[str, ...]] = ("chat",)

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)

    @classmethod
    def sniff(cls, head: Head) -> bool:
        blanks = codecs.BOM_UTF8 + BLANKS
        start = head.data.lstrip(blanks)
        if BOX.encode() in start and NAME.encode() in start:  # rows of ms-swift
            return False
        if start.startswith(b"["):
            start = start[1:].lstrip(blanks)
            if start.startswith(b"]"):  # an array without samples is valid
                return not start[1:].strip(blanks)
        keys = (*object_keys(start.lstrip(blanks + b"[")), *first_keys(head))
        return not set(TURNS).isdisjoint(keys)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        place = context.media.resolve(file.uri)
        if is_array(place):
            return array_splits(file, place, split_bytes=SPLIT_BYTES)
        return line_splits(file, context, SPLIT_BYTES)

    def count(self, split: Split, context: Context) -> Count:
        place = context.media.resolve(split.files[0].uri)
        if is_array(place):
            return count_elements(place, *split[1:])
        return count_lines(split, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        root = root_of(self.media_root, file, context.base)
        for batch in batches(_element_groups(split, context)):
            found = self._read_batch(file, batch, root, context)
            has_arrays = found.records.num_rows + len(found.failures) != len(batch)
            yield one_unit_each(found, len(batch)) if has_arrays else found

    def _read_batch(
        self, file: File, batch: list[Element], root: str, context: Context
    ) -> ReadBatch:
        """Makes the records of a batch one row at a time, because conversations differ in their
        number of segments."""
        builder = record.Builder(self.name, "chat")
        failures: list[Failure] = []
        for within, sample in (pair for element in batch for pair in samples(element)):
            key, origin = self.key(file, within), self.origin(file, within)
            try:
                chat = parse_sample(sample, root, context)
            except RowError as error:
                failures.append(Failure.of(key, origin, error))
            else:
                row = builder.add(key, origin, meta=chat.meta)
                add_chat(row, chat.segments, chat.images)
        return ReadBatch(builder.table(), failures)


def _element_groups(split: Split, context: Context) -> Iterator[list[Element]]:
    """Yields the elements of a JSON array, or the lines of a JSON lines file as elements numbered
    from 1."""
    place = context.media.resolve(split.files[0].uri)
    if is_array(place):
        yield from element_groups(
            place, split.start, split.stop, split.first, context.limits.max_row_bytes
        )
        return
    for batch in line_batches(split, context):
        yield [
            Element(number, 0, 0, b"", line.error(f"line {number}").message)
            if isinstance(line, LongLine)
            else Element(number, 0, 0, line)
            for number, line in batch
        ]


def samples(element: Element) -> Iterator[tuple[str, Any]]:
    """Yields (place, sample) for each sample of an element of the file. If element 12 is a sample,
    the place is `12`; if element 12 is an array, the places of its samples are `12.0`, `12.1`, and
    so on. If element 12 is an empty array, it is yielded as one sample with the place `12`; parsing
    this sample raises an error.

    A broken element yields one pair, with a RowError in place of the sample.
    """
    try:
        value = element.value()
    except RowError as error:
        value = error
    if isinstance(value, list) and value:
        yield from ((f"{element.number}.{n}", sample) for n, sample in enumerate(value))
    else:
        yield f"{element.number}", value


class Chat(NamedTuple):
    """A parsed sample: its segments (texts and images, in order), the opened image of each image
    segment, and its other fields as JSON."""

    segments: list[ChatSegment]
    images: list[OpenedImage]
    meta: str | None


def parse_sample(
    sample: Any, root: str, context: Context, *, has_placeholders: bool = False
) -> Chat:
    """Parses a sample and opens its images. Raises RowError if any part of the sample is malformed.
    It also raises RowError for a text with a placeholder of ms-swift, such as `<bbox>`, unless
    `has_placeholders` is true. `root` is the folder of the images."""
    if isinstance(sample, RowError):
        raise sample
    if not isinstance(sample, dict):
        raise RowError(f"the sample is {sample!r:.80}, not a JSON object")
    if any(sample.get(name) for name in VIDEOS):
        raise RowError(
            "the sample has a video, which this reader does not support. Remove "
            "the video, or leave the sample in quarantine."
        )
    turns_name, images_name = _present(sample, TURNS), _present(sample, IMAGES)
    sources = _sources(sample.get(images_name))
    paths = [source if isinstance(source, str) else None for source in sources]
    turns = _turns(sample.get(turns_name), sample.get("system"))
    segments = chat_segments(turns, len(paths), paths)
    if not has_placeholders:
        check_placeholders(segments)
    images = [_open(root, one.image, sources, context) for one in segments if one.text is None]
    used = {turns_name, images_name, "system"}
    others = {name: value for name, value in sample.items() if name not in used}
    return Chat(segments, images, to_json(others) if others else None)


def _present(sample: dict[str, Any], names: tuple[str, ...]) -> str:
    """Returns the name in `names` whose field in the sample is not empty, or the first name if all
    are empty. Raises RowError if several are not empty."""
    present = [name for name in names if sample.get(name)]
    if len(present) > 1:
        fault = f"the sample has both {present[0]!r} and {present[1]!r}."
        raise RowError(fault, fix="Keep only one of these two fields.")
    return present[0] if present else names[0]


def _turns(value: Any, system: Any) -> list[Any]:
    turns = turns_of(value)
    return [{"role": "system", "content": system}, *turns] if system else turns


def _sources(value: Any) -> list[str | bytes]:
    """The path or data url of each image of a sample; an image may be a text or a dict {path}."""
    given = value if isinstance(value, list) else [value] if value else []
    sources = [image_source(one) for one in given]
    if None in sources:
        raise RowError(
            "one of the sample's images has neither a path nor a data url: the "
            f"images are {value!r:.80}."
        )
    return [source for source in sources if source is not None]


def _open(
    root: str, image: int | str | bytes | None, sources: list[str | bytes], context: Context
) -> OpenedImage:
    assert image is not None, "chat_segments gives each image segment an image"
    opened = open_source(sources[image] if isinstance(image, int) else image, root, context)
    if isinstance(opened, RowError):
        raise opened
    return opened
