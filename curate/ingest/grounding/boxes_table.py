"""A reader of any table of images with boxes, points or polygons. The recipe names the columns and
the coordinate space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.ingest.columns import require_columns
from curate.ingest.formats.columnar import sniffed_schema
from curate.ingest.formats.json_heads import first_object
from curate.ingest.formats.nested_tables import (
    RowBatch,
    row_batches,
)
from curate.ingest.grounding.annotations.annotated_table import AnnotatedTable, annotated_rows
from curate.ingest.grounding.annotations.annotation import AnnotatedImage
from curate.ingest.grounding.annotations.annotations_in_cells import (
    Entry,
    class_labels,
    entries_in_cell,
    entries_in_lists,
    holds_coordinates,
    holds_numbers,
    to_annotation,
)
from curate.ingest.grounding.annotations.class_names import ClassNames, read_class_names
from curate.ingest.grounding.annotations.fields import number_in, without
from curate.ingest.image_columns import open_images
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Head, ReadBatch, Split, existing_files
from manifests.errors import RowError
from manifests.geometry.space import SpaceSetting
from manifests.setting_values import Names
from manifests.storage import File

SHAPES = ("box", "point", "polygon")


class ObjectFields(BaseModel):
    """The column that has the objects (`field`), and the names of the fields of an object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str = Field(
        description="column of the objects: a list of objects, or an object of parallel lists"
    )
    box: Names | None = Field(
        None,
        description="field with the four numbers of a box, or four fields with one number each",
    )
    point: Names | None = Field(None, description="field with x and y of a point, or two fields")
    polygon: str | None = Field(
        None, description="field with a polygon: x y x y ..., (x, y) pairs, or a list of rings"
    )
    label: str | None = Field(None, description="field with the label: text, or a class number")
    text: str | None = Field(None, description="field with a phrase that refers to the object")

    @model_validator(mode="after")
    def _has_a_shape(self) -> ObjectFields:
        if not any(getattr(self, shape) for shape in SHAPES):
            raise ValueError("`objects` names no field: set at least one of box, point, polygon")
        return self


class BoxesTable(AnnotatedTable):
    """Any table of annotated images: parquet, JSON lines, or a JSON array of objects.

        {"image": "a.jpg", "objects": [{"bbox": [64, 48, 64, 48], "category": "dog"}]}
        {"image": "a.jpg", "boxes": [[64, 48, 64, 48]], "labels": ["dog"]}

    The first of these settings reads the first row; the other two settings read the second row:

        objects: {field: objects, box: bbox, label: category}
        boxes: boxes
        labels: labels

    Each row becomes a record: its image and its objects. `image` is a column of paths below
    `media_root`, or of Hugging Face images, whose bytes are copied to a file beside the output
    part. The objects are in one column, `objects`, as a list of dicts or a dict of parallel lists
    (`{bbox: [...], category: [...]}`); or in columns of equal length: `boxes`, `points`,
    `polygons`, `labels`, `texts`. In these columns, a single label or text applies to all objects
    of the row, and a row with one box may have the box without a list around it.

    `space` declares the order and unit of the coordinates: `xyxy pixel`, `xywh fraction`, `coco`,
    ... Pixels refer to the image or, if `width` and `height` are set, to an image of the size in
    these columns. Class numbers are replaced by the class names in the setting `names` or, if it is
    not set, in the metadata of a Hugging Face table; without class names, the number is the label.
    Other fields of an object become attributes, and other columns, with `width` and `height`, go to
    `meta`. The key of a record is the file's name and the number of the
    row, from 0, or of the line, from 1.
    """

    version: ClassVar[int] = 3

    space: SpaceSetting = Field(
        description="coordinate space: the order and unit of the coordinates, such as `xyxy pixel`"
    )
    image: str = Field(
        "image", description="column of the image paths, or of the images themselves"
    )
    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    objects: ObjectFields | None = Field(None, description="column of the objects, and its fields")
    boxes: str | None = Field(None, description="column of boxes, four numbers each")
    points: str | None = Field(
        None, description="column of points, each x y, or of objects {x: [...], y: [...]}"
    )
    polygons: str | None = Field(
        None, description="column of polygons, each x y x y ..., (x, y) pairs, or a list of rings"
    )
    labels: str | None = Field(None, description="column of labels: text, or class numbers")
    texts: str | None = Field(None, description="column of phrases that refer to the objects")
    width: str | None = Field(
        None, description="column of the width of the image to which pixel coordinates refer"
    )
    height: str | None = Field(
        None, description="column of the height of the image to which pixel coordinates refer"
    )
    text: str | None = Field(None, description="column of a caption of the image")
    names: ClassNames = Field(
        None,
        description="names of the classes, the first for class 0; or a file with them; null: the "
        "names in the metadata of a Hugging Face table, or else the numbers",
    )

    @model_validator(mode="after")
    def _is_one_form(self) -> BoxesTable:
        flat = [name for name in _COLUMNS.values() if getattr(self, name)]
        if self.objects is not None and flat:
            raise ValueError(
                f"objects and {flat[0]} both name the annotations: set only one of the two"
            )
        if self.objects is None and not {"boxes", "points", "polygons"} & {*flat}:
            raise ValueError("none of objects, boxes, points, polygons is set: name at least one")
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height go together: set both, or neither")
        return self

    @classmethod
    def sniff(cls, head: Head) -> bool:
        schema = sniffed_schema(head)
        if schema is not None:
            return any(f.type.num_fields and holds_numbers(f.type) for f in schema)
        row = first_object(head) or {}
        has_path = any(isinstance(cell, str) for cell in row.values())
        return has_path and any(holds_coordinates(cell) for cell in row.values())

    def files_beside(self, files: Sequence[File], base: str) -> list[File]:
        return existing_files([self.names] if isinstance(self.names, str) else [], base)

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        if isinstance(self.names, str):
            read_class_names(self.names, context.base)
        if (schema := sniffed_schema(head)) is not None:
            self._require(schema.names, file)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        root = root_of(self.media_root, file, context.base)
        given = read_class_names(self.names, context.base) if isinstance(self.names, str) else None
        for batch in row_batches(split, context):
            if batch.table is not None:
                self._require(batch.table.schema.names, file)
            names = given or self._class_names(batch)
            images = open_images(batch, self.image, root, context)
            parse = partial(self._parse, names)
            yield self.records(file, annotated_rows(batch, images, parse), context)

    def _parse(
        self, names: dict[int, str], number: int, row: dict[str, Any], image: OpenedImage | RowError
    ) -> AnnotatedImage:
        fields = self.objects or _FIELDS_OF_COLUMNS
        annotations = [to_annotation(entry, fields, names) for entry in self._entries(row)]
        text = row.get(self.text) if self.text else None
        if text is not None and not isinstance(text, str):
            raise RowError(f"the field {self.text!r} is {text!r:.80}, not text")
        meta = without(row, *self._used)
        return AnnotatedImage(number, image, annotations, self._size(row), text or None, meta)

    def _entries(self, row: dict[str, Any]) -> list[Entry]:
        if self.objects is not None:
            return entries_in_cell(_cell(row, self.objects.field), self.objects.field)
        columns = {field: getattr(self, setting) for field, setting in _COLUMNS.items()}
        return entries_in_lists(
            {field: (name, _cell(row, name)) for field, name in columns.items() if name is not None}
        )

    def _size(self, row: dict[str, Any]) -> tuple[float, float] | None:
        if self.width is None or self.height is None:
            return None
        given = _cell(row, self.width), _cell(row, self.height)
        width, height = map(number_in, given)
        if width is None or height is None:
            raise RowError(
                f"the fields {self.width!r} and {self.height!r} are {given[0]!r:.40} and "
                f"{given[1]!r:.40}, not numbers"
            )
        return width, height

    def _class_names(self, batch: RowBatch) -> dict[int, str]:
        """Returns the class names in the recipe (`names`) or, if the recipe has none, in the
        metadata of a Hugging Face table; an empty dict if there are none."""
        if self.names is not None:
            return dict(enumerate(self.names))
        metadata = (batch.table.schema.metadata if batch.table is not None else None) or {}
        try:
            features = orjson.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return {}
        if self.objects is None:
            return class_labels(features.get(self.labels))
        return class_labels(features.get(self.objects.field), self.objects.label)

    def _require(self, columns: list[str], file: File) -> None:
        for setting in ("image", "text", "width", "height", *_COLUMNS.values()):
            require_columns(filter(None, [getattr(self, setting)]), columns, setting, file.uri)
        require_columns([self.objects.field] if self.objects else [], columns, "objects", file.uri)

    @property
    def _used(self) -> set[str | None]:
        """Returns the names of the columns that become fields of the record. All other columns go
        to `meta`."""
        columns = {getattr(self, setting) for setting in ("image", "text", *_COLUMNS.values())}
        return columns | {self.objects.field if self.objects else None}


_COLUMNS = {"box": "boxes", "point": "points", "polygon": "polygons", "label": "labels",
            "text": "texts"}  # fmt: skip
"""For each field of an annotation, the setting that names its column."""
_FIELDS_OF_COLUMNS = ObjectFields(
    field="", box=("box",), point=("point",), polygon="polygon", label="label", text="text"
)
"""The field names of entries that are made from parallel columns."""


def _cell(row: dict[str, Any], name: str) -> Any:
    if name not in row:
        raise RowError(f"there is no field {name!r}; the fields are: {', '.join(row) or 'none'}.")
    return row[name]
