"""The columns of the record. `FIELDS` documents each column.

A caption, a web document, a scanned page and a grounded image have the same columns, so a step
can work on every modality.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

MODALITIES = (
    "caption",
    "interleaved",
    "ocr",
    "document",
    "grounding",
    "video",
    "knowledge",
    "stem",
    "agent",
    "chat",
    "text",
)
SEGMENT = pa.struct(
    [
        ("kind", pa.string()),
        ("text", pa.string()),
        ("media", pa.int32()),
        ("role", pa.string()),
        ("loss", pa.bool_()),
    ]
)
MEDIA = pa.struct(
    [
        ("kind", pa.string()),
        ("uri", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("mime", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("duration", pa.float64()),
        ("fps", pa.float64()),
        ("frames", pa.int64()),
        ("digest", pa.string()),
        ("orientation", pa.int8()),
        ("camera", pa.list_(pa.float32())),
    ]
)
OBJECT = pa.struct(
    [
        ("label", pa.string()),
        ("media", pa.int32()),
        ("box", pa.list_(pa.float32())),
        ("point", pa.list_(pa.float32())),
        ("polygon", pa.list_(pa.list_(pa.float32()))),
        ("box3d", pa.list_(pa.float32())),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("track", pa.string()),
        ("attributes", pa.string()),
    ]
)


class Field(NamedTuple):
    """One column of the record: name, Arrow type and meaning."""

    name: str
    type: pa.DataType
    meaning: str


FIELDS = (
    Field(
        "id",
        pa.string(),
        "32 hex digits: hash of (source name, key within the source); for a record that a step "
        "made from another one: hash of (id of the other one, number)",
    ),
    Field("modality", pa.string(), "one of " + ", ".join(MODALITIES)),
    Field("source", pa.string(), "the name of the source in the recipe"),
    Field(
        "origin",
        pa.string(),
        "where the record comes from, `uri#key`: for people, not part of the id",
    ),
    Field(
        "content",
        pa.list_(SEGMENT),
        "the segments in order: kind (text, image, video); text; media, an index into `media`; "
        "role (null, system, user, assistant); loss: whether the training loss includes the text",
    ),
    Field(
        "media",
        pa.list_(MEDIA),
        "references to images and videos: kind; uri; offset and length in bytes (offset null: "
        "the complete file); mime; width and height in stored pixels, before EXIF orientation; "
        "duration in seconds; fps; frames; digest of the bytes, null if no step computed it; "
        "orientation: the Exif number, 1 to 8, null if unknown; camera: fx fy cx cy in pixels "
        "of the image with its orientation applied, null if unknown",
    ),
    Field(
        "objects",
        pa.list_(OBJECT),
        "annotated objects: label; media index; box x1 y1 x2 y2, point x y and polygon (rings of "
        "x y ...) in [0,1000] of the image with its orientation applied; box3d: centre xyz and "
        "size xyz in metres, x right, y down, z forward, roll pitch yaw in radians; start and end "
        "in seconds; text; track; attributes: JSON, the other fields of the annotation",
    ),
    Field("language", pa.string(), "BCP 47 tag, null if unknown"),
    Field("raw_text", pa.string(), "the original text, kept if a step rewrites it"),
    Field(
        "meta",
        pa.string(),
        "JSON: the other fields of the source; `curate.lost` counts the parts of the record that "
        "are in quarantine, such as annotations",
    ),
)
SCHEMA = pa.schema([(field.name, field.type) for field in FIELDS])
