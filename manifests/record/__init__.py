"""The record: one Arrow row for every modality, and whole columns in and out of it."""

from manifests.record.build import ImageColumns, captions, from_rows
from manifests.record.columns import media_lists, one_chunk, texts
from manifests.record.ids import child_ids, id_keys, random_keys, record_id, record_ids
from manifests.record.schema import FIELDS, MEDIA, MODALITIES, OBJECT, SCHEMA, SEGMENT, Field

__all__ = [
    "FIELDS", "MEDIA", "MODALITIES", "OBJECT", "SCHEMA", "SEGMENT", "Field", "ImageColumns",
    "captions", "child_ids", "from_rows", "id_keys", "media_lists", "one_chunk", "random_keys",
    "record_id", "record_ids", "texts",
]  # fmt: skip
