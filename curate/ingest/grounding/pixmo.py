"""PixMo: points on images that are named by url. The points are in percent (PixMo-Points) or in
pixels (PixMo-Count)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.evidence import Findings
from curate.ingest.file_template import Files
from curate.ingest.formats.nested_tables import column_names, row_batches
from curate.ingest.grounding.annotations.annotated_table import AnnotatedTable, annotated_rows
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.annotations_in_cells import xy_pairs
from curate.ingest.grounding.annotations.fields import without
from curate.ingest.grounding.annotations.images_by_columns import (
    check_templates,
    images_by_columns,
    last_parts_of,
)
from curate.ingest.images import OpenedImage
from curate.ingest.last_parts import check_last_parts
from curate.ingest.media_folder import MediaFolder
from curate.ingest.reader import Context, Head, ReadBatch, Split
from manifests.errors import RowError
from manifests.geometry.space import Space
from manifests.storage import File

POINTS = Space(form="xyxy", unit="percent")
"""The coordinate space of PixMo-Points. The data set's card states pixels, but the authors' own
loader divides by 100 (molmo, olmo/data/pixmo_datasets.py and data_formatter.py)."""
COUNT = Space(form="xyxy", unit="pixel")
"""The coordinate space of PixMo-Count, as in the authors' loader (see POINTS)."""


class Pixmo(AnnotatedTable):
    """PixMo-Points and PixMo-Count: `points` of one `label`, their `count`, and an image url.

        {"image_url": "https://a.org/b.jpg", "image_sha256": "0f3a...", "label": "dog",
         "points": [{"x": 12.5, "y": 50.0}], "count": 1}

    Each row becomes a record. It has the points of one label on one image, and each point becomes
    an object. An image with several labels has several rows. PixMo-Points has a list of `{x, y}`,
    in percent of the image. PixMo-Count has two lists, `{x: [...], y: [...]}`, in pixels of the
    annotated image, so the coordinates do not fit a resized copy of the image. The form of `points`
    decides for each row whether the numbers are percent or pixels. Whether the numbers fit the
    images is checked over the complete source.

    Nothing is downloaded. The image is the file below `media_root` that the setting `file` names.
    If `file` is not set, the name of the image file must be made from the url (`{url_sha256}`,
    `{url_md5}`, `{url_name}`) or be the `image_sha256` of the row. A row without points becomes a
    record without objects: the image shows nothing with this label, or the label was not annotated.
    `label`, `count` and all other fields go to `meta`. The key of a record is the file's name and
    the number of the row, from 0, or of the line, from 1.
    """

    version: ClassVar[int] = 4
    own_space: ClassVar[Space] = POINTS

    media_root: str = Field(description="folder of the images")
    file: Files | None = Field(
        None,
        description="file name of a row's image below media_root, made from its columns, such "
        "as `{image_sha256}`; or several names that are tried in order",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return {"image_url", "points", "label"} <= column_names(head)

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        check_templates(self.file, "image_url", head, file.uri)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, folder = split.files[0], MediaFolder(self.media_root, context.base)
        last_parts = last_parts_of(split, "image_url", context)
        for batch in row_batches(split, context):
            images = images_by_columns(
                batch.rows, "image_url", self.file, folder, context, last_parts, file.uri
            )
            found = self.records(file, annotated_rows(batch, images, _parse), context)
            yield found._replace(evidence={**found.evidence, **last_parts.evidence()})

    def check_evidence(self, evidence: Findings) -> None:
        super().check_evidence(evidence)
        check_last_parts(evidence, self.path)


def _parse(number: int, row: dict[str, Any], image: OpenedImage | RowError) -> AnnotatedImage:
    label = row.get("label")
    if not isinstance(label, str):
        raise RowError(f"'label' is {label!r:.80}, not text")
    points = row.get("points")
    annotations = [Annotation(label, point=point) for point in _points(points)]
    space = COUNT if isinstance(points, dict) else POINTS
    return AnnotatedImage(number, image, annotations, meta=without(row, "points"), space=space)


def _points(value: Any) -> list[list[Any]]:
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(point, dict) for point in value):
        return [[point.get("x"), point.get("y")] for point in value]
    return xy_pairs(value, "points")
