"""COCO instances and keypoints, and formats with the same layout: Objects365, LVIS, OpenImages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from curate.ingest.formats.json_elements import object_keys
from curate.ingest.formats.json_fields import id_field, text_field
from curate.ingest.formats.json_object import first_element
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.categories import Categories
from curate.ingest.grounding.annotations.coco_layout import CocoFile, CocoLayout, size_of
from curate.ingest.grounding.annotations.fields import without
from curate.ingest.grounding.annotations.image_by_path_end import image_by_path_end
from curate.ingest.grounding.annotations.rings import to_rings
from curate.ingest.reader import Head
from manifests.errors import RowError
from manifests.geometry.space import SPACES, Space

OUTLINES = ("bbox", "segmentation")
FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")
"""Fields of an image in LVIS that list categories: those that are known to be absent from the
image, and those of which only some objects are annotated.

Nothing is known about any other category without an annotation on the image (Gupta et al. 2019,
section 2: a federated data set).
"""
_USED = ("image_id", "category_id", *OUTLINES)


class Coco(CocoLayout):
    """COCO instances and formats with its layout: Objects365, LVIS, OpenImages, many exports.

        {"images": [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}],
         "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [64, 48, 64, 48]}],
         "categories": [{"id": 3, "name": "dog"}]}

    Each entry of `images` becomes a record with all its annotations, in file order. An annotation
    becomes an object: the name of its category becomes the label, `bbox` (x y width height in
    pixels) becomes the box, and a `segmentation` of rings becomes the polygon. A ring may be x y x
    y ... or a list of (x, y) pairs. A run-length mask (RLE, which COCO uses for crowds) is stored
    in the attribute `rle`. If the annotation has a box, a segmentation of another form becomes an
    attribute, unchanged, and is reported as a failure of its own (`annotations[7].segmentation`).
    `iscrowd` (if true), `id`, `area`, `keypoints` and all other fields of the annotation become
    attributes, unchanged.

    The other fields of the image go to `meta`. For each field of category ids, such as LVIS's
    `neg_category_ids`, a field with the names of these categories is added
    (`neg_category_names`). An image with `neg_category_ids` or `not_exhaustive_category_ids`
    (LVIS, Open Images) is annotated for some categories only: `curate.absent` in `meta` has the
    names of the categories in `neg_category_ids`, and objects of the categories in
    `not_exhaustive_category_ids` get the attribute `curate.partial`, so that no step asks how many
    objects of these categories the image shows.

    The image is `file_name` below `media_root` or, if there is no `file_name`, the path of
    `coco_url`. Leading folders of the path that do not exist are removed: the
    `images/v1/patch8/a.jpg` of Objects365 is also found as `a.jpg`, unless another image path of
    the annotation file ends in `a.jpg` too.

    The key of a record is the file's name and the image's id. Annotations are joined to images by
    `image_id`; the ids of the annotations themselves may occur several times, as in merged files.
    If several images have the same id, all these images fail, and so do all annotations with this
    `image_id`. If several categories with different names have the same id, all annotations of
    these categories fail.

    An annotation becomes a failure, with the place `annotations[7]`, if its image or category does
    not exist, if it is malformed, or if it has neither box nor segmentation. The record of its
    image is made without it, and `curate.lost` in the record's `meta` states how many annotations
    are missing. If the `image_id` of an annotation cannot be read, or if the file is cut off, any
    image of the file may lack an annotation, so all its records get `curate.lost`. If a vertex is
    not a number, the whole image fails. Each split has a range of `images`. The task that reads a
    split scans all annotations, but holds only the annotations of the split's images in memory.
    """

    version: ClassVar[int] = 4
    own_space: ClassVar[Space] = SPACES["coco"]

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_element(head, "annotations")
        if first is None:  # a file without annotations is valid
            return {"images", "annotations", "categories"} <= set(object_keys(head.data))
        return (
            isinstance(first, dict)
            and {"image_id", "category_id"} <= first.keys()
            and not first.keys().isdisjoint(OUTLINES)
        )

    def parse_image(self, key: str, fields: dict[str, Any], coco: CocoFile) -> AnnotatedImage:
        image = image_by_path_end(coco.root, _path(fields), coco.context.media, coco.shared)
        meta = without(fields, "id", "width", "height")
        for name, ids in fields.items():
            if name.endswith("_category_ids") and isinstance(ids, list):
                names = [coco.categories.names.get(str(one)) for one in ids]
                meta[name.removesuffix("_ids") + "_names"] = names
        absent, partial = (_named(fields, name, coco.categories) for name in FEDERATED)
        is_federated = not fields.keys().isdisjoint(FEDERATED)
        return AnnotatedImage(
            key,
            image,
            size=size_of(fields),
            meta=meta,
            absent=absent if is_federated else None,
            partial=partial,
        )

    def parse_annotations(
        self, entries: Sequence[dict[str, Any]], categories: Categories
    ) -> list[Annotation | RowError]:
        parsed: list[Annotation | RowError] = []
        for entry in entries:  # row by row: entries have different fields
            try:
                parsed.append(coco_annotation(entry, categories))
            except RowError as error:
                parsed.append(error)
        return parsed


def coco_annotation(entry: dict[str, Any], categories: Categories) -> Annotation:
    """Makes an annotation from an entry of COCO's `annotations`. Raises RowError if the entry is
    malformed. If only the segmentation is malformed and the entry has a box, no error is raised;
    the field `fault` of the annotation has the error."""
    label = categories.name(id_field(entry, "category_id"))
    box = _box(entry.get("bbox"))
    attributes = without(entry, *_USED, None if entry.get("iscrowd") else "iscrowd")
    outline = entry.get("segmentation")
    if box is None and not outline:
        raise RowError("the annotation has neither 'bbox' nor 'segmentation'")
    try:
        rings, mask = _outline(outline)
    except RowError as error:
        if box is None:
            raise
        attributes["segmentation"] = outline
        return Annotation(label, box=box, attributes=attributes, fault=error)
    masks = {} if mask is None else {"rle": mask}
    return Annotation(label, box=box, polygon=rings, attributes=attributes | masks)


def _named(image: dict[str, Any], name: str, categories: Categories) -> list[str]:
    """Returns the names of the categories whose ids are in the field `name` of the image; an empty
    list if the image lacks the field. Ids of unknown categories are left out. Raises RowError if
    the field is not a list."""
    ids = image.get(name)
    if ids is None:
        return []
    if not isinstance(ids, list):
        raise RowError(f"{name!r} is {ids!r:.80}, not a list of category ids")
    return [categories.names[str(one)] for one in ids if str(one) in categories.names]


def _path(image: dict[str, Any]) -> str:
    if image.get("file_name") is not None or image.get("coco_url") is None:
        return text_field(image, "file_name")
    return urlsplit(text_field(image, "coco_url")).path.removeprefix("/")


def _box(value: Any) -> list[float] | None:
    if value is None or value == []:
        return None
    if isinstance(value, list) and len(value) == 4 and all(type(n) in (int, float) for n in value):
        return value
    raise RowError(f"'bbox' is {value!r:.80}, not 4 numbers")


def _outline(value: Any) -> tuple[list[list[float]] | None, dict[str, Any] | None]:
    """Parses a segmentation and returns (rings, mask). A polygon gives the rings, each x y x y ...;
    a run-length mask gives the mask; the other value is None. If there is no segmentation, both are
    None."""
    if not value:
        return None, None
    if isinstance(value, dict) and {"counts", "size"} <= value.keys():
        return None, value
    try:
        return to_rings(value), None
    except RowError:
        fault = f"'segmentation' is {value!r:.80}, neither lists of numbers x y x y ... nor a mask"
        raise RowError(fault) from None
