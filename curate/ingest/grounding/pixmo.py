"""PixMo: points on images that are named by url, in percent (Points) or in pixels (Count)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.file_template import Files
from curate.ingest.formats.nested_tables import SUFFIXES, column_names, row_batches, row_splits
from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    Annotation,
    SpaceOverride,
    TrustSetting,
    grounding_records,
)
from curate.ingest.grounding.annotations.images_by_columns import images_by_columns
from curate.ingest.media_folder import MediaFolder
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests.errors import RowError
from manifests.geometry.space import Space
from manifests.storage import File

POINTS = Space(form="xyxy", unit="percent")
"""Its card says pixels; the maker's own loader takes them as shares of 100 (molmo,
olmo/data/pixmo_datasets.py and data_formatter.py)."""
COUNT = Space(form="xyxy", unit="pixel")
"""As the same loader takes them."""


class Pixmo(Reader):
    """PixMo-Points and PixMo-Count: `points` with one `label`, their `count`, and an image url.

    A row is a record: the places of one kind of thing on one image, each an object with the
    label; an image has as many rows as labels. Points as a list of `{x, y}` are PixMo-Points', in
    percent of the image; as lists side by side, `{x: [...], y: [...]}`, PixMo-Count's, in
    pixels. Nothing is fetched: the image lies below `media_root` under the name that `file`
    says, or under its `image_sha256`, or one made of the url (`{url_sha256}`, `{url_md5}`,
    `{url_name}`). Pixels are those of the image that was annotated: one that was made smaller
    is another. A row with no points is a record without objects: nothing of that label is there,
    or nobody pointed. `label`, `count` and all else go to `meta`. A record's key is the file's
    name and the number of the row, from 0.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    modality: ClassVar[str] = "grounding"

    media_root: str = Field(description="folder that the images lie in")
    file: Files | None = Field(
        None,
        description="name of a row's image below media_root, made of columns: `{image_sha256}`; "
        "or several names to look for in order",
    )
    space: SpaceOverride = None
    trust: TrustSetting = False

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return {"image_url", "points", "label"} <= column_names(head)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return row_splits(file, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, shelf = split.files[0], MediaFolder(self.media_root, context.base)
        for batch in row_batches(split, context):
            images = images_by_columns(
                batch.rows, "image_url", self.file, shelf, context, file.uri
            )  # fmt: skip
            samples = [AnnotatedImage(number, error) for number, error in batch.broken]
            rows = zip(batch.numbers, batch.rows, images, strict=True)
            samples += [_sample(number, row, image) for number, row, image in rows]
            space = self.space or (COUNT if _is_count(batch.rows) else POINTS)
            yield grounding_records(self, file, samples, space, context, self.trust)


def _is_count(rows: list[dict[str, Any]]) -> bool:
    """By the first row that has points: a file's are all of one form."""
    return isinstance(next((row["points"] for row in rows if row.get("points")), None), dict)


def _sample(number: int, row: dict[str, Any], image: Any) -> AnnotatedImage:
    try:
        label = row.get("label")
        if not isinstance(label, str):
            raise RowError(f"'label' is {label!r:.80}, not text")
        annotations = [Annotation(label, point=point) for point in _points(row.get("points"))]
    except RowError as error:
        return AnnotatedImage(number, error)
    return AnnotatedImage(
        number, image, annotations, meta={k: v for k, v in row.items() if k != "points"}
    )  # fmt: skip


def _points(value: Any) -> list[list[Any]]:
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return [[one.get("x"), one.get("y")] for one in value]
    if isinstance(value, dict):
        x, y = (value.get(axis) for axis in "xy")
        if isinstance(x, list) and isinstance(y, list) and len(x) == len(y):
            return [list(pair) for pair in zip(x, y, strict=True)]
    raise RowError(f"'points' is {value!r:.80}: neither a list of x and y nor two lists of them")
