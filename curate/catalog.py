"""The one list of all readers and steps. A new one is one new file and one line here."""

from __future__ import annotations

import importlib
from typing import Any

from curate.ingest.reader import Reader
from manifests.errors import RecipeError
from manifests.spelling import nearest
from manifests.step import CorpusStep, ReshapeStep, RowStep, Step

READERS = {
    "webdataset": "curate.ingest.webdataset:WebDataset",
    "folder": "curate.ingest.folder:Folder",
    "img2dataset_parquet": "curate.ingest.img2dataset:Img2DatasetParquet",
    "hf_parquet": "curate.ingest.hf_parquet:HfParquet",
    "url_table": "curate.ingest.url_table:UrlTable",
    "tsv": "curate.ingest.tsv:Tsv",
    "table": "curate.ingest.table:Table",
    "coco_captions": "curate.ingest.coco_captions:CocoCaptions",
    "karpathy": "curate.ingest.coco_captions:Karpathy",
    "sbu": "curate.ingest.coco_captions:SbuCaptions",
    "llava": "curate.ingest.llava:Llava",
    "coco": "curate.ingest.grounding.coco_instances:Coco",
    "refcoco": "curate.ingest.grounding.refcoco:RefCoco",
    "visual_genome": "curate.ingest.grounding.visual_genome:VisualGenome",
    "flickr30k_entities": "curate.ingest.grounding.flickr30k:Flickr30kEntities",
    "grit": "curate.ingest.grounding.grit:Grit",
    "pixmo": "curate.ingest.grounding.pixmo:Pixmo",
    "screenspot": "curate.ingest.grounding.screenspot:ScreenSpot",
    "qwen_grounding": "curate.ingest.grounding.qwen_grounding:QwenGrounding",
    "voc": "curate.ingest.grounding.voc:Voc",
    "yolo": "curate.ingest.grounding.yolo:Yolo",
    "labelme": "curate.ingest.grounding.labelme:LabelMe",
    "omni3d": "curate.ingest.grounding.omni3d:Omni3d",
    "boxes_table": "curate.ingest.grounding.boxes_table:BoxesTable",
}

STEPS = {
    "words": "filters.words:Words",
    "characters": "filters.characters:Characters",
    "alphanumeric": "filters.alphanumeric:Alphanumeric",
    "special_characters": "filters.special_characters:SpecialCharacters",
    "character_repetition": "filters.character_repetition:CharacterRepetition",
    "word_repetition": "filters.word_repetition:WordRepetition",
    "language": "filters.language:Language",
    "images": "filters.images:ImageCount",
    "image_shape": "filters.image_shape:ImageShape",
    "image_decodes": "filters.image_decodes:ImageDecodes",
    "image_hash": "filters.image_hash:ImageHash",
    "media_digest": "filters.media_digest:MediaDigest",
    "decontaminate": "filters.decontaminate:Decontaminate",
    "keep_list": "filters.keep_list:KeepList",
    "masks": "filters.objects.masks:Masks",
    "boxes": "filters.objects.boxes:Boxes",
    "box_duplicates": "filters.objects.box_duplicates:BoxDuplicates",
    "box_points": "filters.objects.box_points:BoxPoints",
    "labels": "filters.objects.labels:Labels",
    "label_frequency": "filters.objects.label_frequency:LabelFrequency",
    "object_count": "filters.objects.object_count:ObjectCount",
    "count_agreement": "filters.objects.count_agreement:CountAgreement",
    "cameras": "curate.grounding.three_d.cameras:Cameras",
    "boxes_3d": "curate.grounding.three_d.boxes_3d:Boxes3d",
    "virtual_camera": "curate.grounding.three_d.virtual_camera:VirtualCamera",
    "counting": "curate.grounding.text.counting:Counting",
    "negatives": "curate.grounding.text.negatives:Negatives",
    "grounding_text": "curate.grounding.text.grounding_text:GroundingText",
    "duplicates": "filters.duplicates.step:Duplicates",
    "duplicate_images": "filters.duplicates.images:DuplicateImages",
    "sample": "curate.sampling.sample:Sample",
}


def resolve_reader(name: str) -> type[Reader]:
    """The reader of a name, or of `package.module:Class`."""
    found: type[Reader] = _resolve(name, READERS, "reader")
    if not issubclass(found, Reader):
        raise RecipeError(f"{name} is not a reader: it does not extend Reader")
    return found


def resolve_step(name: str) -> type[Step]:
    """The step of a name, or of `package.module:Class`."""
    found: type[Step] = _resolve(name, STEPS, "step")
    if not issubclass(found, RowStep | CorpusStep | ReshapeStep):
        raise RecipeError(f"{name} is not a step: it extends none of the three shapes")
    return found


def readers() -> dict[str, type[Reader]]:
    return {name: resolve_reader(name) for name in READERS}


def _resolve(name: str, table: dict[str, str], what: str) -> Any:
    place = table.get(name, name)
    if ":" not in place:
        raise RecipeError(f"no {what} named '{name}'.", mend=nearest(name, list(table)))
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"{what} '{name}' cannot be loaded: {error}") from error
