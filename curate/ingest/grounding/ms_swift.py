"""Reads fine-tuning conversations of ms-swift, and puts names and boxes in place of the
placeholders in the turns."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from curate.ingest.captions.llava import Chat, Llava, parse_sample, samples
from curate.ingest.conversations import BOX, NAME, add_chat
from curate.ingest.formats.json_elements import object_keys
from curate.ingest.formats.json_pieces import BLANKS, Element
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.grounding_reader import TrustSetting
from curate.ingest.grounding.annotations.grounding_records import grounding_records
from curate.ingest.reader import Context, Failure, Head, ReadBatch
from manifests import record
from manifests.errors import RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

_SPACES = {"real": Space(form="xyxy", unit="pixel"), "norm1": SPACES["fraction"]}
_PLACEHOLDER = re.compile(f"{NAME}|{BOX}")
_LISTS = ("ref", "bbox", "image_id")


class MsSwift(Llava):
    """Fine-tuning conversations of ms-swift with `objects`, as a JSON array or JSON lines.

        {"messages": [
           {"role": "user", "content": "<image>Find the <ref-object>."},
           {"role": "assistant", "content": "The <ref-object> is at <bbox>."}],
         "images": ["a.jpg"],
         "objects": {"ref": ["dog", "dog"], "bbox": [[64, 48, 128, 96]]}}

    Files and samples have the same form as for the reader `llava`. Each `<ref-object>` is replaced
    by the next text of `ref`, and each `<bbox>` by the next entry of `bbox`: two numbers are a
    point, four numbers are a box. In the text, the numbers are whole numbers from 0 to 1000, in
    thousandths of the image's width or height, as Qwen3-VL writes them; the record's objects have
    the exact values. With `bbox_type: real`, the default, the coordinates in the file are pixels;
    with `norm1`, they are fractions of the image. `image_id` has the index of each box's image;
    without `image_id`, all boxes are on the first image.

    A text is a turn, or the part of a turn between two images. If a text has as many names as
    boxes, the first name is the label of the first box, and so on. If a text has boxes but no
    names, the nearest text before it that has names counts: if it has exactly one name, this name
    is the label of all these boxes. Any other box has no label. A sample is quarantined if the
    number of placeholders is not the number of names and boxes.

    Source: ms-swift, documentation of custom data sets, "Grounding".
    """

    version: ClassVar[int] = 3

    trust: TrustSetting = False

    @classmethod
    def sniff(cls, head: Head) -> bool:
        start = head.data.lstrip(codecs.BOM_UTF8 + BLANKS).lstrip(b"[").lstrip(BLANKS)
        return {"messages", "objects"} <= set(object_keys(start))

    def _read_batch(
        self, file: File, batch: list[Element], root: str, context: Context
    ) -> ReadBatch:
        rows, failures = list[_Row](), list[Failure]()
        for within, sample in (pair for element in batch for pair in samples(element)):
            try:
                rows.append(_row(within, sample, root, context))
            except RowError as error:
                failures.append(
                    Failure.of(self.key(file, within), self.origin(file, within), error)
                )
        objects, wrong = self._objects(file, rows, context)
        builder = record.Builder(self.name, "chat")
        for row in rows:
            if row.within in wrong:
                key, origin = self.key(file, row.within), self.origin(file, row.within)
                failures.append(wrong[row.within]._replace(key=key, origin=origin))
                continue
            added = builder.add(
                self.key(file, row.within), self.origin(file, row.within), meta=row.chat.meta
            )
            _fill(added, row, objects.get(row.within, {}))
        return ReadBatch(builder.table(), failures)

    def _objects(
        self, file: File, rows: list[_Row], context: Context
    ) -> tuple[dict[str, _Objects], dict[str, Failure]]:
        """Converts the boxes of all rows to objects with coordinates from 0 to 1000. Returns the
        objects of each row, and the failure of each row that failed, both by the place of the row
        in the file."""
        found: dict[str, _Objects] = {}
        wrong: dict[str, Failure] = {}
        for kind, space in _SPACES.items():
            images = [one for row in rows if row.kind == kind for one in _annotated(row)]
            grounded = grounding_records(self, file, images, space, context, self.trust)
            for origin, objects in zip(*_columns(grounded.records), strict=True):
                within, _, image = origin.removeprefix(self.origin(file, "")).rpartition("@")
                found.setdefault(within, {})[int(image)] = objects
            for failure in grounded.failures:
                within = failure.key.removeprefix(self.key(file, "")).rpartition("@")[0]
                wrong.setdefault(within, failure)
        return found, wrong


_Objects = dict[int, list[dict[str, Any]]]
"""The objects of a row, by the index of their image."""


class _Box(NamedTuple):
    """A box or point of a sample. `values` are its numbers, unchanged from the file. `media` is the
    index of its image among the images that the conversation shows."""

    values: Sequence[float]
    label: str | None
    media: int


class _Row(NamedTuple):
    """A parsed sample: its conversation with placeholders, and the names and boxes that replace the
    placeholders. `kind` is the `bbox_type` of the sample, such as `real`. `within` is the place of
    the sample in the file."""

    within: str
    chat: Chat
    kind: str
    names: list[str]
    boxes: list[_Box]


def _row(within: str, sample: Any, root: str, context: Context) -> _Row:
    objects = sample.get("objects") if isinstance(sample, dict) else None
    fields = {k: v for k, v in sample.items() if k != "objects"} if objects else sample
    chat = parse_sample(fields, root, context, has_placeholders=True)
    values = _values(objects or {})
    texts = [segment.text for segment in chat.segments if segment.text is not None]
    for tag, name in ((NAME, "ref"), (BOX, "bbox")):
        found = sum(text.count(tag) for text in texts)
        if found != len(values[name]):
            raise RowError(
                f"the turns contain {found} placeholders {tag}, but objects.{name} has "
                f"{len(values[name])} entries.",
                fix=f"Write one entry of objects.{name} for each placeholder {tag}, in order.",
            )
    return _Row(within, chat, values["bbox_type"], values["ref"], _boxes(chat, values))


def _values(objects: Any) -> dict[str, Any]:
    """Returns the values of the field `objects`: the lists `ref`, `bbox` and `image_id`, empty if
    missing, and the text `bbox_type`, `real` if missing. Raises RowError if `objects` has another
    key, if a value is not allowed, or if `image_id` is neither empty nor as long as `bbox`."""
    if not isinstance(objects, dict) or not objects.keys() <= {*_LISTS, "bbox_type"}:
        fault = (
            f"the field 'objects' is {objects!r:.80}, not a JSON object with the keys ref, "
            "bbox, bbox_type and image_id."
        )
        raise RowError(fault, fix="Write the objects as ms-swift 3 documents them.")
    values: dict[str, Any] = {name: objects.get(name) or [] for name in _LISTS}
    values["bbox_type"] = objects.get("bbox_type") or "real"
    if values["bbox_type"] not in _SPACES:
        raise RowError(f"objects.bbox_type is {values['bbox_type']!r:.80}, neither real nor norm1.")
    for name, is_valid in (("ref", _is_name), ("bbox", _is_box), ("image_id", _is_index)):
        if not isinstance(values[name], list) or not all(map(is_valid, values[name])):
            raise RowError(f"objects.{name} is {values[name]!r:.80}, not {_EXPECTED[name]}.")
    if values["image_id"] and len(values["image_id"]) != len(values["bbox"]):
        raise RowError("objects.image_id and objects.bbox have different numbers of entries.")
    return values


_EXPECTED = {
    "ref": "a list of texts",
    "bbox": "a list of boxes of four numbers or points of two",
    "image_id": "a list of whole numbers",
}


def _is_name(value: object) -> bool:
    return isinstance(value, str)


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_box(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (2, 4)
        and all(isinstance(n, int | float) and not isinstance(n, bool) for n in value)
    )


def _boxes(chat: Chat, values: dict[str, Any]) -> list[_Box]:
    shown = [segment.image for segment in chat.segments if segment.text is None]
    labels = list(_labels([segment.text or "" for segment in chat.segments], values["ref"]))
    image_ids = values["image_id"] or [0] * len(values["bbox"])
    for number in set(image_ids) - set(shown):
        raise RowError(
            f"objects.image_id has the index {number}, but no turn shows this image.",
            fix="Correct objects.image_id, in which the first image has the index 0.",
        )
    return [
        _Box(box, label, shown.index(image))
        for box, label, image in zip(values["bbox"], labels, image_ids, strict=True)
    ]


def _labels(texts: list[str], names: list[str]) -> Iterator[str | None]:
    """Yields the label of each box, in the order of the boxes in the texts of the turns.

    If a text has as many names as boxes, the names are the labels. If a text has boxes but no name,
    the nearest text before it that has names counts: if it has exactly one name, this name is the
    label of all boxes. In all other cases, the label is None.

    `["Find the <ref-object>.", "<bbox>"], ["dog"]` -> `"dog"`
    """
    following, before = iter(names), list[str]()
    for text in texts:
        own = [next(following) for _ in range(text.count(NAME))]
        boxes = text.count(BOX)
        if boxes and len(own) == boxes:
            yield from own
        else:
            yield from [before[0] if not own and len(before) == 1 else None] * boxes
        before = own or before


def _annotated(row: _Row) -> Iterator[AnnotatedImage]:
    """Yields each image of a row on which the row has boxes, with these boxes as annotations. The
    place of image 2 of row 7 is `7@2`."""
    for media in sorted({box.media for box in row.boxes}):
        annotations = [
            Annotation(box.label, box=box.values)
            if len(box.values) == 4
            else Annotation(box.label, point=box.values)
            for box in row.boxes
            if box.media == media
        ]
        yield AnnotatedImage(f"{row.within}@{media}", row.chat.images[media], annotations)


def _columns(table: pa.Table) -> tuple[list[str], list[list[dict[str, Any]]]]:
    return table["origin"].to_pylist(), table["objects"].to_pylist()


def _fill(added: record.Row, row: _Row, objects: _Objects) -> None:
    """Adds the turns and the objects of a row to a record. In the turns, names and coordinates
    replace the placeholders."""
    following = {media: iter(found) for media, found in objects.items()}
    boxes = [next(following[box.media]) for box in row.boxes]
    values = {NAME: iter(row.names), BOX: (_text(box) for box in boxes)}
    segments = [
        segment._replace(text=_PLACEHOLDER.sub(lambda tag: next(values[tag.group()]), segment.text))
        if segment.text
        else segment
        for segment in row.chat.segments
    ]
    add_chat(added, segments, row.chat.images)
    for box, one in zip(boxes, row.boxes, strict=True):
        added.object(box["label"], media=one.media, box=box["box"], point=box["point"])


def _text(box: dict[str, Any]) -> str:
    """Writes the coordinates of a box or point as text, rounded to whole numbers: `[100, 100, 200,
    200]`."""
    return str([round(number) for number in box["box"] or box["point"]])
