"""Records: one Arrow schema for all modalities, the ids, and functions to build and read
records."""

from manifests.record.builder import Builder, Row, image_media
from manifests.record.captions import ImageColumns, captions
from manifests.record.columns import media_lists, one_chunk, texts
from manifests.record.ids import (
    child_ids,
    id_keys,
    key_limit,
    random_keys,
    record_id,
    record_ids,
    uniform_numbers,
)
from manifests.record.lost_parts import INCOMPLETE, LOST, lost_parts, with_lost
from manifests.record.partial_labels import ABSENT, PARTIAL, known_absent, with_true
from manifests.record.rows import from_rows
from manifests.record.schema import FIELDS, MEDIA, MODALITIES, OBJECT, SCHEMA, SEGMENT, Field

__all__ = [
    "ABSENT", "FIELDS", "INCOMPLETE", "LOST", "MEDIA", "MODALITIES", "OBJECT", "PARTIAL", "SCHEMA",
    "SEGMENT", "Builder", "Field", "ImageColumns", "Row", "captions", "child_ids", "from_rows",
    "id_keys", "image_media", "key_limit", "known_absent", "lost_parts", "media_lists", "one_chunk",
    "random_keys", "record_id", "record_ids", "texts", "uniform_numbers", "with_lost", "with_true",
]  # fmt: skip
