"""Any table of images with boxes, points or polygons: the recipe names fields and space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from curate.ingest.columns import Names, require_columns
from curate.ingest.formats.nested_tables import (
    SUFFIXES,
    RowBatch,
    first_row,
    row_batches,
    row_splits,
)
from curate.ingest.formats.parquet import sniffed_schema
from curate.ingest.grounding.annotations.annotations_in_cells import (
    Entry,
    annotation,
    has_numbers,
    holds_numbers,
    labels_in,
    listed,
    transposed,
)
from curate.ingest.grounding.annotations.class_names import ClassNames, names_of
from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    TrustSetting,
    grounding_records,
)
from curate.ingest.image_columns import open_images
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.geometry.space import SpaceSetting
from manifests.storage import File

SHAPES = ("box", "point", "polygon")


class ObjectFields(BaseModel):
    """Where the objects of a row lie, and their fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str = Field(description="column of the objects: a list of them, or lists in a struct")
    box: Names | None = Field(None, description="field of four numbers, or four fields of one")
    point: Names | None = Field(None, description="field of x and y, or two fields of one")
    polygon: str | None = Field(None, description="field of x y x y ..., of pairs, or of rings")
    label: str | None = Field(None, description="field of what it is: text, or a class's number")
    text: str | None = Field(None, description="field of the phrase that means it")

    @model_validator(mode="after")
    def _has_a_shape(self) -> ObjectFields:
        if not any(getattr(self, shape) for shape in SHAPES):
            raise ValueError("objects has none of box, point, polygon: name at least one")
        return self


class BoxesTable(Reader):
    """Any table of annotated images: parquet, JSON lines, or a JSON array of objects.

    A row is a record: the image that `image` names (a path below `media_root`, or a column of
    Hugging Face images, whose bytes are kept beside the parts) and its objects. These are in
    one field, `objects`, as a list or as lists side by side (`{bbox: [...], category: [...]}`);
    or in columns of equal length: `boxes`, `points`, `polygons`, `labels`, `texts`, where one
    label or text is that of all, and a row may have one box alone. What the numbers mean is said
    by `space`: `xyxy pixel`, `xywh fraction`, `coco`, ... Pixels are those of the image, or of
    one of `width` and `height`. Labels that are numbers get the names of `names`, or those that
    a Hugging Face table has itself. Other fields of an object are its attributes, other columns
    go to `meta`. A record's key is the file's name and the number of the row, from 0, or of the
    line, from 1.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    keeps_bytes: ClassVar[bool] = True
    modality: ClassVar[str] = "grounding"

    space: SpaceSetting = Field(description="space of the numbers")
    trust: TrustSetting = False
    image: str = Field("image", description="column of the paths of images, or of images")
    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    objects: ObjectFields | None = Field(None, description="field of the objects, and their fields")
    boxes: str | None = Field(None, description="column of boxes, four numbers each")
    points: str | None = Field(None, description="column of points: x y, or {x: [...], y: [...]}")
    polygons: str | None = Field(None, description="column of polygons")
    labels: str | None = Field(None, description="column of what each object is")
    texts: str | None = Field(None, description="column of the phrase that means each object")
    width: str | None = Field(None, description="column of the width that pixels are of")
    height: str | None = Field(None, description="column of the height that pixels are of")
    text: str | None = Field(None, description="column of a caption of the image")
    names: ClassNames = Field(
        None, description="names of the classes from 0 on, or the file that has them"
    )

    @model_validator(mode="after")
    def _one_form(self) -> BoxesTable:
        flat = [name for name in (*_FLAT.values(),) if getattr(self, name)]
        if self.objects is not None and flat:
            raise ValueError(f"objects and {flat[0]} both give the annotations: set one of them")
        if self.objects is None and not {"boxes", "points", "polygons"} & {*flat}:
            raise ValueError("none of objects, boxes, points, polygons is set: name at least one")
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height go together: give both, or neither")
        return self

    @classmethod
    def sniff(cls, head: Head) -> bool:
        schema = sniffed_schema(head)
        if schema is not None:
            return any(f.type.num_fields and has_numbers(f.type) for f in schema)
        row = first_row(head) or {}
        named = any(isinstance(value, str) for value in row.values())
        return named and any(holds_numbers(cell) for cell in row.values())

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return row_splits(file, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        root = root_of(self.media_root, file, context.base)
        named = names_of(self.names, context.base) if isinstance(self.names, str) else None
        for batch in row_batches(split, context):
            if batch.table is not None:
                self._require(batch.table.schema.names, file)
            names = named or self._names(batch)
            images = open_images(batch, self.image, root, context)
            samples = [AnnotatedImage(number, error) for number, error in batch.broken]
            for number, row, image in zip(batch.numbers, batch.rows, images, strict=True):
                try:
                    samples.append(self._sample(row, names)._replace(
                        within=number, image=image))  # fmt: skip
                except RowError as error:
                    samples.append(AnnotatedImage(number, error))
            yield grounding_records(self, file, samples, self.space, context, self.trust)

    def _sample(self, row: dict[str, Any], names: dict[int, str]) -> AnnotatedImage:
        """A row without its image."""
        fields = self.objects or _AS_OBJECTS
        annotations = [annotation(entry, fields, names) for entry in self._entries(row)]
        text = row.get(self.text) if self.text else None
        if text is not None and not isinstance(text, str):
            raise RowError(f"{self.text!r} is {text!r:.80}, not text")
        rest = {name: value for name, value in row.items() if name not in self._spent}
        return AnnotatedImage(
            None, RowError("no image"), annotations, self._size(row), text or None, rest
        )

    def _entries(self, row: dict[str, Any]) -> list[Entry]:
        if self.objects is not None:
            return listed(_cell(row, self.objects.field), self.objects.field)
        set_ = {as_: getattr(self, name) for as_, name in _FLAT.items()}
        return transposed({as_: (c, _cell(row, c)) for as_, c in set_.items() if c is not None})

    def _size(self, row: dict[str, Any]) -> tuple[float, float] | None:
        if self.width is None or self.height is None:
            return None
        width, height = _cell(row, self.width), _cell(row, self.height)
        if not all(isinstance(n, int | float) for n in (width, height)):
            raise RowError(f"{self.width!r} and {self.height!r} are {width!r:.40}, {height!r:.40}")
        return width, height

    def _names(self, batch: RowBatch) -> dict[int, str]:
        if self.names is not None:
            return dict(enumerate(self.names))
        metadata = (batch.table.schema.metadata if batch.table is not None else None) or {}
        try:
            features = orjson.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return {}
        if self.objects is None:
            return labels_in(features.get(self.labels))
        return labels_in(features.get(self.objects.field), self.objects.label)

    def _require(self, columns: list[str], file: File) -> None:
        for setting in ("image", "text", "width", "height", *_FLAT.values()):
            require_columns(filter(None, [getattr(self, setting)]), columns, setting, file.uri)
        require_columns([self.objects.field] if self.objects else [], columns, "objects", file.uri)

    @property
    def _spent(self) -> set[str | None]:
        own = {getattr(self, setting) for setting in ("image", "text", *_FLAT.values())}
        return own | {self.objects.field if self.objects else None}


_FLAT = {"box": "boxes", "point": "points", "polygon": "polygons", "label": "labels",
         "text": "texts"}  # fmt: skip
_AS_OBJECTS = ObjectFields(
    field="", box=("box",), point=("point",), polygon="polygon", label="label", text="text"
)
"""Columns side by side, once they are objects."""


def _cell(row: dict[str, Any], name: str) -> Any:
    if name not in row:
        raise RowError(f"no {name!r}; there are: {', '.join(row) or 'none'}.")
    return row[name]
