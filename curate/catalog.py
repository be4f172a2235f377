"""Lists all readers and steps. To add a reader or a step, write a new file and add a line here."""

from __future__ import annotations

import importlib
from typing import Any

from curate.ingest.reader import Reader
from manifests.errors import RecipeError
from manifests.step import Bound, CorpusStep, ReshapeStep, RowStep, Step
from manifests.step.spelling import nearest

READERS = {
    "webdataset": "curate.ingest.captions.webdataset:WebDataset",
    "folder": "curate.ingest.captions.folder:Folder",
    "img2dataset_parquet": "curate.ingest.captions.img2dataset:Img2DatasetParquet",
    "hf_parquet": "curate.ingest.captions.hf_parquet:HfParquet",
    "url_table": "curate.ingest.captions.url_table:UrlTable",
    "tsv": "curate.ingest.captions.tsv:Tsv",
    "table": "curate.ingest.captions.table:Table",
    "coco_captions": "curate.ingest.captions.coco_captions:CocoCaptions",
    "karpathy": "curate.ingest.captions.karpathy:Karpathy",
    "sbu": "curate.ingest.captions.sbu_captions:SbuCaptions",
    "llava": "curate.ingest.captions.llava:Llava",
    "coco": "curate.ingest.grounding.coco_instances:Coco",
    "refcoco": "curate.ingest.grounding.refcoco:RefCoco",
    "visual_genome": "curate.ingest.grounding.visual_genome:VisualGenome",
    "flickr30k_entities": "curate.ingest.grounding.flickr30k:Flickr30kEntities",
    "grit": "curate.ingest.grounding.grit:Grit",
    "pixmo": "curate.ingest.grounding.pixmo:Pixmo",
    "screenspot": "curate.ingest.grounding.screenspot:ScreenSpot",
    "qwen_grounding": "curate.ingest.grounding.qwen_grounding:QwenGrounding",
    "ms_swift": "curate.ingest.grounding.ms_swift:MsSwift",
    "voc": "curate.ingest.grounding.voc:Voc",
    "yolo": "curate.ingest.grounding.yolo:Yolo",
    "labelme": "curate.ingest.grounding.labelme:LabelMe",
    "cvat": "curate.ingest.grounding.cvat:Cvat",
    "label_studio": "curate.ingest.grounding.label_studio:LabelStudio",
    "omni3d": "curate.ingest.grounding.omni3d:Omni3d",
    "boxes_table": "curate.ingest.grounding.boxes_table:BoxesTable",
}

STEPS = {
    "words": "filters.text.words:Words",
    "characters": "filters.text.characters:Characters",
    "alphanumeric": "filters.text.alphanumeric:Alphanumeric",
    "special_characters": "filters.text.special_characters:SpecialCharacters",
    "character_repetition": "filters.text.character_repetition:CharacterRepetition",
    "word_repetition": "filters.text.word_repetition:WordRepetition",
    "language": "filters.text.language:Language",
    "entities": "filters.text.entities:Entities",
    "images": "filters.image.images:ImageCount",
    "image_shape": "filters.image.image_shape:ImageShape",
    "image_decodes": "filters.image.image_decodes:ImageDecodes",
    "image_hash": "filters.image.image_hash:ImageHash",
    "nsfw": "filters.image.nsfw:Nsfw",
    "faces": "filters.image.faces:Faces",
    "media_digest": "filters.image.media_digest:MediaDigest",
    "decontaminate": "filters.decontamination.decontaminate:Decontaminate",
    "tokens": "filters.records.tokens:Tokens",
    "keep_list": "filters.records.keep_list:KeepList",
    "masks": "filters.objects.masks:Masks",
    "boxes": "filters.objects.boxes:Boxes",
    "box_duplicates": "filters.objects.box_duplicates:BoxDuplicates",
    "box_points": "filters.objects.box_points:BoxPoints",
    "labels": "filters.objects.labels:Labels",
    "label_frequency": "filters.objects.label_frequency:LabelFrequency",
    "object_count": "filters.objects.object_count:ObjectCount",
    "count_agreement": "filters.objects.count_agreement:CountAgreement",
    "cameras": "filters.objects.cameras:Cameras",
    "boxes_3d": "filters.objects.boxes_3d:Boxes3d",
    "virtual_camera": "filters.objects.virtual_camera:VirtualCamera",
    "counting": "curate.compose.grounding.counting:Counting",
    "negatives": "curate.compose.grounding.negatives:Negatives",
    "grounding_text": "curate.compose.grounding.grounding_text:GroundingText",
    "duplicates": "filters.duplicates.duplicates:Duplicates",
    "duplicate_images": "filters.duplicates.duplicate_images:DuplicateImages",
    "embed": "clustering.embed.embed:Embed",
    "near": "clustering.near:Near",
    "embed_ngrams": "clustering.embed.embed_ngrams:EmbedNgrams",
    "embed_endpoint": "clustering.embed.embed_endpoint:EmbedEndpoint",
    "alignment": "clustering.alignment:Alignment",
    "retrieve": "clustering.retrieve:Retrieve",
    "cluster": "clustering.cluster:Cluster",
    "thumbnail": "clustering.embed.thumbnail:Thumbnail",
    "embed_patches": "clustering.embed.embed_patches:EmbedPatches",
    "recaption": "recaption.caption.recaption:Recaption",
    "judge": "recaption.judge.judge:Judge",
    "label": "recaption.label.label:Label",
    "locate": "recaption.locate.locate:Locate",
    "locate_agreement": "recaption.locate.agreement:LocateAgreement",
    "power": "curate.sampling.power:Power",
    "head": "curate.sampling.head:Head",
    "metaclip": "curate.sampling.metaclip:Metaclip",
    "dsir": "curate.sampling.dsir:Dsir",
    "sample": "curate.sampling.sample:Sample",
    "hierarchical": "curate.sampling.hierarchical:Hierarchical",
    "representatives": "curate.sampling.representatives:Representatives",
    "outliers": "curate.sampling.outliers:Outliers",
    "repeat": "curate.sampling.repeat:Repeat",
}

RENAMED_READERS: dict[str, str] = {}
RENAMED_STEPS: dict[str, str] = {}
"""The new name of each renamed step, by its old name. A recipe with an old name is refused with a
hint to the new one."""


def resolve_reader(name: str) -> type[Reader]:
    """Return the class of a reader, given by its name or as `package.module:Class`."""
    found: type[Reader] = _resolve(name, READERS, RENAMED_READERS, "reader")
    if not (isinstance(found, type) and issubclass(found, Reader)):
        raise RecipeError(
            f"{name} cannot be used as a reader: it does not extend the class "
            "curate.ingest.reader.Reader"
        )
    return found


def resolve_step(name: str) -> type[Step]:
    """Return the class of a step, given by its name or as `package.module:Class`."""
    found: type[Step] = _resolve(name, STEPS, RENAMED_STEPS, "step")
    if not (isinstance(found, type) and issubclass(found, RowStep | CorpusStep | ReshapeStep)):
        raise RecipeError(
            f"{name} cannot be used as a step: it extends none of the classes RowStep, "
            "ReshapeStep and CorpusStep of manifests.step"
        )
    _check_form(name, found)
    return found


def _check_form(name: str, found: type[Step]) -> None:
    """Raise RecipeError if a class lacks a method that every step of its kind (row, reshape or
    corpus step) must have, or if a setting that is marked `Bound` has no default. A class may lack
    a method because it was written for an older version of this project."""
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    if isinstance(vars(found).get("measures"), dict):
        missing.append("measures (as a method)")
    for bound in found.marked(Bound):
        if found.model_fields[bound].is_required():
            raise RecipeError(
                f"the setting '{bound}' of {name} is marked Bound, but has no default",
                fix=(
                    "Give the setting a default, such as None. While the method `measure` runs, "
                    "every setting that is marked Bound has its default."
                ),
            )
    if missing:
        old = (
            " It has the method `__call__`, which steps had in earlier versions of curate."
            if "__call__" in vars(found)
            else ""
        )
        raise RecipeError(
            f"the class of the step {name} does not define {', '.join(missing)}.{old}",
            fix="docs/write-a-step.md shows a step of each kind.",
        )


def readers() -> dict[str, type[Reader]]:
    return {name: resolve_reader(name) for name in READERS}


def _resolve(name: str, table: dict[str, str], renamed: dict[str, str], what: str) -> Any:
    if name in renamed:
        raise RecipeError(f"'{name}' is now called '{renamed[name]}': write the new name.")
    place = table.get(name, name)
    if ":" not in place:
        raise RecipeError(f"no {what} named '{name}'.", fix=nearest(name, list(table)))
    module, _, attribute = place.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), attribute]):
        fix = "Write it in the form package.module:Class."
        raise RecipeError(f"'{name}' is not the name of a class in a module.", fix=fix)
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        fix = (
            "Check that the folder of the module is on PYTHONPATH. For the current folder, "
            "write: PYTHONPATH=. curate ..."
        )
        raise RecipeError(f"{what} '{name}' cannot be loaded: {error}", fix=fix) from error
    except (Exception, SystemExit) as error:  # importing runs the module's code
        fault = f"{what} '{name}' cannot be loaded: {type(error).__name__}: {error}"
        raise RecipeError(fault) from error
