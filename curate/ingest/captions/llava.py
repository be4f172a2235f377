"""Conversations about images, as LLaVA, ShareGPT and Qwen's fine-tuning write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.conversations import conversation_content
from curate.ingest.formats.json_elements import batches, elements, is_array, object_keys
from curate.ingest.formats.json_pieces import Element
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.formats.lines import line_splits, lines
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import ROOT_DESCRIPTION, open_below, root_of
from curate.ingest.meta import to_json
from curate.ingest.reader import SPLIT_BYTES, Context, Failure, Head, ReadBatch, Reader, Split
from manifests import record
from manifests.errors import InputError, RowError
from manifests.storage import File

TURNS = ("conversations", "messages")
IMAGES = ("image", "images")
VIDEOS = ("video", "videos")
_BLANKS = b"\xef\xbb\xbf \t\r\n"


class Llava(Reader):
    """LLaVA, ShareGPT and Qwen fine-tuning data: JSON arrays or JSON lines of conversations.

    A sample is `{image, conversations: [{from, value}]}` or `{images, messages: [{role,
    content}]}`, its images standing where the `<image>` tags of its user turns do; `system`,
    where there is one, is its first turn. Paths are relative to `media_root`. A packed element,
    a list of samples, becomes a record each. All other fields go to `meta`. What the file holds
    is seen from its content, not from its ending. A record's key is the file's name and the
    number of the element, from 0, or of the line, from 1; in a packed one `12.0`, `12.1`, ...
    """

    suffixes: ClassVar[tuple[str, ...]] = tuple(
        f".{kind}{packed}"
        for kind in ("json", "jsonl", "ndjson")
        for packed in ("", ".gz", ".zst", ".bz2")
    )
    modality: ClassVar[str] = "chat"

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)

    @classmethod
    def sniff(cls, head: Head) -> bool:
        start = head.data.lstrip(_BLANKS)
        if start.startswith(b"["):
            start = start[1:].lstrip(_BLANKS)
            if start.startswith(b"]"):  # an array of no samples is no fault
                return not start[1:].strip(_BLANKS)
        return not set(TURNS).isdisjoint(object_keys(start.lstrip(_BLANKS + b"[")))

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        place = context.media.resolve(file.uri)
        if is_array(place):
            return array_splits(file, place, split_bytes=SPLIT_BYTES)
        return line_splits(file, context, SPLIT_BYTES)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        root = root_of(self.media_root, file, context.base)
        for batch in batches(_elements(split, context)):
            yield self._found(file, batch, root, context)

    def _found(self, file: File, batch: list[Element], root: str, context: Context) -> ReadBatch:
        """Records of several segments: a Python dict a row, for no two rows are alike."""
        rows: list[dict[str, Any]] = []
        failures: list[Failure] = []
        for within, sample in (pair for element in batch for pair in _samples(element)):
            key, origin = self.key(file, within), self.origin(file, within)
            try:
                rows.append({"key": key, "origin": origin, **_columns(sample, root, context)})
            except RowError as error:
                failures.append(Failure(key, origin, type(error).__name__, str(error)))
        return ReadBatch(record.from_rows(rows, self.name, self.modality), failures)


def _elements(split: Split, context: Context) -> Iterator[Element]:
    place = context.media.resolve(split.files[0].uri)
    if is_array(place):
        yield from elements(place, split.start, split.stop, split.first)
        return
    number = split.first
    try:
        for number, line in lines(split, context):
            if line and not line.isspace():
                yield Element(number, 0, 0, line)
    except InputError as error:
        yield Element(number + 1, 0, 0, b"", error.fault)


def _samples(element: Element) -> Iterator[tuple[str, Any]]:
    """The samples of an element with the place of each, or the error in its place."""
    try:
        value = element.value()
    except RowError as error:
        value = error
    if isinstance(value, list) and value:  # packed
        yield from ((f"{element.number}.{n}", sample) for n, sample in enumerate(value))
    else:
        yield f"{element.number}", value


def _columns(sample: Any, root: str, context: Context) -> dict[str, Any]:
    """Content, media and meta of one sample; RowError for one that is not whole."""
    if isinstance(sample, RowError):
        raise sample
    if not isinstance(sample, dict):
        raise RowError(f"{sample!r:.80} is no sample: it is not an object")
    if any(sample.get(name) for name in VIDEOS):
        raise RowError("video is not read yet by this reader")
    turns_in, paths_in = _given(sample, TURNS), _given(sample, IMAGES)
    paths = _paths(sample.get(paths_in))
    content = conversation_content(_turns(sample.get(turns_in), sample.get("system")), len(paths))
    media = [_reference(open_below(root, path, context.media)) for path in paths]
    spent = {turns_in, paths_in, "system"}
    rest = {name: value for name, value in sample.items() if name not in spent}
    return {"content": content, "media": media, "meta": to_json(rest) if rest else None}


def _given(sample: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if sample.get(name)), names[0])


def _turns(value: Any, system: Any) -> list[Any]:
    if not isinstance(value, list):
        fault = f"{value!r:.80} for turns: neither conversations nor messages has any."
        raise RowError(fault, fix="A sample has a list of turns.")
    return [{"role": "system", "content": system}, *value] if system else value


def _paths(value: Any) -> list[str]:
    paths = [value] if isinstance(value, str) and value else value or []
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise RowError(f"{value!r:.80} for images.", fix="Images are a path, or a list.")
    return paths


def _reference(image: OpenedImage | RowError) -> dict[str, Any]:
    if isinstance(image, RowError):
        raise image
    return {"kind": "image", **image.reference._asdict(), **image.header._asdict()}
