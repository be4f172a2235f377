"""Objects in COCO's layout: COCO instances and keypoints, Objects365, LVIS, OpenImages in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from curate.ingest.formats.json_elements import object_keys
from curate.ingest.formats.json_fields import id_field, text_field
from curate.ingest.formats.json_object import first_element
from curate.ingest.grounding.annotations.coco_layout import CocoLayout, size_of
from curate.ingest.grounding.annotations.grounding_records import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.image_by_path_end import image_by_path_end
from curate.ingest.reader import Context, Head
from manifests.errors import RowError
from manifests.geometry.space import SPACES, Space

OUTLINES = ("bbox", "segmentation")
_SPENT = ("image_id", "category_id", *OUTLINES)


class Coco(CocoLayout):
    """COCO instances and what has their layout: Objects365, LVIS, OpenImages, many exports.

    An entry of `images` is a record with all its annotations, in their order, or with none. An
    annotation becomes an object: its category's name is the label, `bbox` (x y width height in
    pixels) the box, a `segmentation` of rings the polygon. A mask (RLE, as COCO has for crowds)
    stays as it is in the object's attributes, `rle`; so do a true `iscrowd`, `id`, `area`,
    `keypoints` and all other fields, in the file's own numbers. The other fields of the image go
    to `meta`; ids of categories there (LVIS's `neg_category_ids`) become names beside them.

    An image is `file_name` below `media_root`, or, where it has none, the path of its `coco_url`;
    leading folders of it that are not there are left out, so Objects365's
    `images/v1/patch8/a.jpg` is found as `a.jpg` too.

    A record's key is the file's name and the image's id. An annotation of no image or of no
    category, without box and segmentation, or with an id that came before, fails alone
    (`annotations[7]`); what is no number in it fails its image. Splits are of `images`; memory
    holds the annotations of one split, and all annotations are looked through for each.
    """

    own_space: ClassVar[Space] = SPACES["coco"]

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_element(head, "annotations")
        if first is None:  # a file of no annotations is no fault
            return {"images", "annotations", "categories"} <= set(object_keys(head.data))
        return (
            isinstance(first, dict)
            and {"image_id", "category_id"} <= first.keys()
            and not first.keys().isdisjoint(OUTLINES)
        )

    def sample(
        self, image: dict[str, Any], root: str, names: dict[str, str], context: Context
    ) -> AnnotatedImage:
        opened = image_by_path_end(root, _path(image), context.media)
        meta = {k: v for k, v in image.items() if k not in ("id", "width", "height")}
        for key, ids in image.items():
            if key.endswith("_category_ids") and isinstance(ids, list):
                meta[key.removesuffix("_ids") + "_names"] = [names.get(str(one)) for one in ids]
        return AnnotatedImage("", opened, size=size_of(image), meta=meta)

    def parse_annotations(
        self, entries: Sequence[dict[str, Any]], names: dict[str, str]
    ) -> list[Annotation | RowError]:
        found: list[Annotation | RowError] = []
        for annotation in entries:  # each has fields of its own
            try:
                found.append(annotation_of(annotation, names))
            except RowError as error:
                found.append(error)
        return found


def annotation_of(annotation: dict[str, Any], names: dict[str, str]) -> Annotation:
    """The object of an annotation of COCO. RowError where it is none."""
    category = id_field(annotation, "category_id")
    if category not in names:
        raise RowError(f"no category has the id {category}")
    box = _box(annotation.get("bbox"))
    rings, mask = _outline(annotation.get("segmentation"))
    if box is None and rings is None and mask is None:
        raise RowError("it has neither a 'bbox' nor a 'segmentation'")
    rest = {k: v for k, v in annotation.items() if k not in _SPENT and (k != "iscrowd" or v)}
    masks = {} if mask is None else {"rle": mask}
    return Annotation(names[category], box=box, polygon=rings, attributes=rest | masks)


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
    """Rings of x y x y ..., or a mask."""
    if not value:
        return None, None
    if isinstance(value, dict) and {"counts", "size"} <= value.keys():
        return None, value
    rings = [value] if isinstance(value, list) and not isinstance(value[0], list) else value
    if isinstance(rings, list) and all(isinstance(r, list) and len(r) % 2 == 0 for r in rings):
        return rings, None
    raise RowError(f"'segmentation' is {value!r:.80}: neither rings of x y x y ... nor a mask")
