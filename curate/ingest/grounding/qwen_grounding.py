"""Conversations whose answers hold boxes and points, as Qwen's models are trained on and write."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.compose.grounding.parsing import (
    ParsedObject,
    has_markup,
    outside_image_error,
    parse_objects,
)
from curate.compose.grounding.tags import FIX
from curate.ingest.captions.llava import Llava
from curate.ingest.formats.json_pieces import Element
from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    Annotation,
    SpaceOverride,
    TrustSetting,
    grounding_records,
)
from curate.ingest.grounding.annotations.space_check import SLACK
from curate.ingest.images import OpenedImage
from curate.ingest.reader import Context, Failure, Head, ReadBatch
from manifests.errors import RowError
from manifests.geometry.angles import QWEN3_ANGLES, Angles, boxes_to_record
from manifests.geometry.space import SPACES, UNITS, Space
from manifests.media import Reference
from manifests.media.header import Header
from manifests.record.objects import flat_objects
from manifests.storage import File

FIX_SPACE = "Set `space` to what the numbers are, or leave it in quarantine."
HEAD_BYTES = 1 << 16
"""A longer file may have its first box behind what was looked at (ours)."""


class QwenGrounding(Llava):
    """Fine-tuning conversations of Qwen-VL whose answers have boxes, points or 3D boxes in them.

    Files and samples are as `llava` reads them. What the assistant says is searched for objects:
    JSON with `bbox_2d`, `point_2d` or `bbox_3d` (Qwen2.5-VL, Qwen3-VL), in a fence or not, a list
    or one object; `<ref>` and `<box>` (Qwen-VL) and Qwen2-VL's special tokens for them; `<points>`
    elements (Qwen2.5-VL). They become the record's objects, beside the text, which stays as it is:
    `label`, the numbers, `text_content` as `text`, and other keys under `attributes`. A sample
    without any is the record that `llava` makes of it.

    Numbers are thousandths unless `space` says otherwise: Qwen2.5-VL's are `space: qwen2.5`, which
    no file tells. A sample whose answer has the marks of objects and is cut off or broken, whose
    numbers reach out of the image, or that has objects and not exactly one image, fails.
    """

    modality: ClassVar[str] = "chat"

    space: SpaceOverride = None
    trust: TrustSetting = False
    angles: Angles = Field(QWEN3_ANGLES, description="of 3D boxes: how angles are written")

    @classmethod
    def sniff(cls, head: Head) -> bool:
        if not super().sniff(head):
            return False
        return len(head.data) >= HEAD_BYTES or has_markup(head.data.decode(errors="replace"))

    def _found(self, file: File, batch: list[Element], root: str, context: Context) -> ReadBatch:
        talks = super()._found(file, batch, root, context)
        samples: list[AnnotatedImage] = []
        errors: list[tuple[str, RowError]] = []
        # Row by row: each answer is a text to be parsed.
        for talk in talks.records.select(["origin", "content", "media"]).to_pylist():
            within = talk["origin"].removeprefix(self.origin(file, ""))
            try:
                objects = [one for text in _answers(talk) for one in parse_objects(text)]
                if objects:
                    annotations = [_annotation(one, self.angles) for one in objects]
                    samples.append(AnnotatedImage(within, _image(talk), annotations))
            except RowError as error:
                errors.append((within, error))
        space = self.space or SPACES["qwen3"]
        placed = grounding_records(self, file, samples, space, context, self.trust)
        if not self.trust:
            errors += _beyond(placed.records, samples, space)
        failures = [
            Failure(self.key(file, w), self.origin(file, w), type(e).__name__, str(e))
            for w, e in errors
        ]
        failures += placed.failures
        gone = {failure.origin for failure in failures}
        kept = _joined(talks.records, placed.records, gone)
        return ReadBatch(kept, [*talks.failures, *failures])


def _answers(talk: dict[str, Any]) -> list[str]:
    return [one["text"] for one in talk["content"] if one["role"] == "assistant" and one["text"]]


def _image(talk: dict[str, Any]) -> OpenedImage:
    media = talk["media"]
    if len(media) != 1:
        raise RowError(
            f"objects in the answer, and {len(media)} images.",
            fix="Nothing says which image they are on: split the sample.",
        )
    [one] = media
    header = Header(one["mime"], one["width"], one["height"])
    return OpenedImage(Reference(one["uri"], one["offset"], one["length"]), header)


def _annotation(one: ParsedObject, angles: Angles) -> Annotation:
    others = dict(one.others or {})
    text = others.pop("text_content", None)
    if text is not None and not isinstance(text, str):
        raise RowError(f"text_content is {text!r:.80}, not text.", fix=FIX)
    box3d = None
    if one.box3d is not None:
        box3d = boxes_to_record(np.array([one.box3d]), angles)[0].tolist()
    return Annotation(
        one.label, one.box, one.point, box3d=box3d, text=text, attributes=others or None
    )


def _beyond(
    placed: pa.Table, samples: list[AnnotatedImage], space: Space
) -> list[tuple[str, RowError]]:
    """The samples with a number outside of their image: no model answers so. Thousandths are
    over 1000 only where they are none; pixels may be by a rounding."""
    slack = 0.0 if space.unit == "thousandth" else SLACK
    objects = flat_objects(placed["objects"])
    places = np.concatenate([objects.boxes, objects.points], axis=1)
    wrong = ((places < -slack) | (places > UNITS + slack)).any(axis=1)  # nan is neither
    first = np.flatnonzero(wrong)
    rows, where = np.unique(objects.rows[first], return_index=True)
    by_within = {str(sample.within): sample for sample in samples}
    withins = [origin.rpartition("#")[2] for origin in placed["origin"].to_pylist()]
    starts = np.searchsorted(objects.rows, rows)
    out = []
    for row, at, start in zip(rows.tolist(), first[where].tolist(), starts.tolist(), strict=True):
        annotation = by_within[withins[row]].annotations[at - start]
        numbers = [*(annotation.box or ()), *(annotation.point or ())]
        fault = f"object {at - start}: {outside_image_error(numbers, space)}."
        out.append((withins[row], RowError(fault, fix=FIX_SPACE)))
    return out


def _joined(talks: pa.Table, placed: pa.Table, gone: set[str]) -> pa.Table:
    """The conversations, those that have objects with them, and without those that failed."""
    known = {origin: number for number, origin in enumerate(placed["origin"].to_pylist())}
    origins = talks["origin"].to_pylist()
    kept = [row for row, origin in enumerate(origins) if origin not in gone]
    own = [known.get(origins[row], -1) for row in kept]
    where = [row if at < 0 else len(origins) + at for row, at in zip(kept, own, strict=True)]
    out = talks.take(pa.array(kept, pa.int64()))
    both = pa.concat_tables([talks, placed])
    for name in ("modality", "media", "objects"):
        values = both[name].take(pa.array(where, pa.int64()))
        out = out.set_column(out.schema.get_field_index(name), out.schema.field(name), values)
    return out
