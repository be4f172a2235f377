"""Conversations with boxes and points in the answers, in the formats of Qwen's VL models."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from curate.compose.grounding.parsing import (
    ParsedObject,
    outside_image_error,
    parse_objects,
)
from curate.compose.grounding.tags import FIX
from curate.ingest.captions.llava import Llava
from curate.ingest.evidence import Findings
from curate.ingest.formats.json_pieces import Element
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.grounding_reader import (
    PlacedError,
    SpaceOverride,
    TrustSetting,
)
from curate.ingest.grounding.annotations.grounding_records import check_spaces, grounding_records
from curate.ingest.grounding.annotations.space_check import SLACK
from curate.ingest.images import OpenedImage, row_failures
from curate.ingest.reader import Context, ReadBatch
from manifests.errors import RowError
from manifests.geometry.angles import QWEN3_ANGLES, Angles, boxes_to_record
from manifests.geometry.space import SPACES, UNITS, Space
from manifests.media import Reference
from manifests.media.header import Header
from manifests.record.objects import flat_objects
from manifests.setting_values import completed
from manifests.storage import File

FIX_SPACE = (
    "Set `space` to the coordinate space that the answers use, or leave the sample in quarantine."
)


class QwenGrounding(Llava):
    """Fine-tuning conversations of Qwen-VL with boxes, points or 3D boxes in the answers.

        {"image": "a.jpg", "conversations": [
          {"from": "human", "value": "<image>Find the dog."},
          {"from": "gpt", "value": "<ref>dog</ref><box>(100,100),(200,200)</box>"}]}

    Files and samples have the same form as for the reader `llava`. The assistant's texts are
    searched for objects: JSON with `bbox_2d`, `point_2d` or `bbox_3d` (Qwen2.5-VL, Qwen3-VL), with
    or without a code fence, as a list or one object; `<ref>` and `<box>` (Qwen-VL), or the special
    tokens that Qwen2-VL has in place of these two tags; and `<points>` elements (Qwen2.5-VL). These
    become objects of the record: `label`, coordinates, `text_content` as `text`, and other keys as
    attributes. The text is not changed. A sample without objects becomes the same record as with
    `llava`, and a file without any objects is read like any other.

    Coordinates are read as numbers from 0 to 1000 unless `space` is set. Coordinates of Qwen2.5-VL
    need `space: qwen2.5`, which cannot be detected from a file. A sample fails if the markup of its
    objects is cut off or malformed, if a coordinate is outside the image (with `trust: true`, only
    if it is far outside), or if it has objects but no image or several images.
    """

    version: ClassVar[int] = 3
    modalities: ClassVar[tuple[str, ...]] = ("chat", "grounding")

    space: SpaceOverride = None
    trust: TrustSetting = False
    angles: Annotated[Angles, completed(QWEN3_ANGLES)] = Field(
        QWEN3_ANGLES, description="convention of the angles of 3D boxes in the answers"
    )

    def _read_batch(
        self, file: File, batch: list[Element], root: str, context: Context
    ) -> ReadBatch:
        chats = super()._read_batch(file, batch, root, context)
        images: list[AnnotatedImage] = []
        errors: list[PlacedError] = []
        # This works row by row, because each answer is a text that must be parsed.
        for chat in chats.records.select(["origin", "content", "media"]).to_pylist():
            within = chat["origin"].removeprefix(self.origin(file, ""))
            try:
                objects = [one for text in _answers(chat) for one in parse_objects(text)]
                if objects:
                    annotations = [_annotation(one, self.angles) for one in objects]
                    images.append(AnnotatedImage(within, _image(chat), annotations))
            except RowError as error:
                errors.append((within, error))
        space = self.space or SPACES["qwen3"]
        grounded = grounding_records(self, file, images, space, context, self.trust)
        if not self.trust:
            errors += _outside_errors(grounded.records, images, space)
        failures = row_failures(self, file, errors) + grounded.failures
        failed = {failure.origin for failure in failures}
        records = _with_objects(chats.records, grounded.records, failed)
        return ReadBatch(records, [*chats.failures, *failures], evidence=grounded.evidence)

    def check_evidence(self, evidence: Findings) -> None:
        check_spaces(evidence, self.path)


def _answers(chat: dict[str, Any]) -> list[str]:
    return [one["text"] for one in chat["content"] if one["role"] == "assistant" and one["text"]]


def _image(chat: dict[str, Any]) -> OpenedImage:
    media = chat["media"]
    if len(media) != 1:
        raise RowError(
            f"the answers have objects, but the sample has {len(media)} images, not 1.",
            fix=(
                "Split the sample, because it is not known to which of its images the objects "
                "belong."
            ),
        )
    [one] = media
    header = Header(one["mime"], one["width"], one["height"])
    return OpenedImage(Reference(one["uri"], one["offset"], one["length"]), header)


def _annotation(parsed: ParsedObject, angles: Angles) -> Annotation:
    others = dict(parsed.others or {})
    text = others.pop("text_content", None)
    if text is not None and not isinstance(text, str):
        raise RowError(f"the key text_content of an object is {text!r:.80}, not text.", fix=FIX)
    box3d = None
    if parsed.box3d is not None:
        box3d = boxes_to_record(np.array([parsed.box3d]), angles)[0].tolist()
    return Annotation(
        parsed.label, parsed.box, parsed.point, box3d=box3d, text=text, attributes=others or None
    )


def _outside_errors(
    grounded: pa.Table, images: list[AnnotatedImage], space: Space
) -> list[PlacedError]:
    """Returns an error for each sample that has a coordinate outside its image. Such a coordinate
    shows that the sample is malformed, or that its answers are in another coordinate space than
    `space`.

    If `space` has coordinates from 0 to 1000, no coordinate may be above 1000. Coordinates in
    pixels may be outside the image by a rounding error.
    """
    slack = 0.0 if space.unit == "thousandth" else SLACK
    objects = flat_objects(grounded["objects"])
    numbers = np.concatenate([objects.boxes, objects.points], axis=1)
    outside = ((numbers < -slack) | (numbers > UNITS + slack)).any(axis=1)  # False for nan
    wrong = np.flatnonzero(outside)
    rows, where = np.unique(objects.rows[wrong], return_index=True)
    by_within = {str(image.within): image for image in images}
    withins = [origin.rpartition("#")[2] for origin in grounded["origin"].to_pylist()]
    starts = np.searchsorted(objects.rows, rows)
    errors = []
    for row, at, start in zip(rows.tolist(), wrong[where].tolist(), starts.tolist(), strict=True):
        annotation = by_within[withins[row]].annotations[at - start]
        given = [*(annotation.box or ()), *(annotation.point or ())]
        fault = f"object {at - start}: {outside_image_error(given, space)}."
        errors.append((withins[row], RowError(fault, fix=FIX_SPACE)))
    return errors


def _with_objects(chats: pa.Table, grounded: pa.Table, failed: set[str]) -> pa.Table:
    """Returns the conversations that did not fail. If there is a grounding record with the same
    origin, the conversation gets the modality, media and objects of this record. `failed` has the
    origins of the samples that failed."""
    grounded_rows = {origin: row for row, origin in enumerate(grounded["origin"].to_pylist())}
    origins = chats["origin"].to_pylist()
    kept = [row for row, origin in enumerate(origins) if origin not in failed]
    grounded_row = [grounded_rows.get(origins[row], -1) for row in kept]
    source = [
        row if other < 0 else len(origins) + other
        for row, other in zip(kept, grounded_row, strict=True)
    ]
    out = chats.take(pa.array(kept, pa.int64()))
    both = pa.concat_tables([chats, grounded])
    for name in ("modality", "media", "objects"):
        values = both[name].take(pa.array(source, pa.int64()))
        out = out.set_column(out.schema.get_field_index(name), out.schema.field(name), values)
    return out
