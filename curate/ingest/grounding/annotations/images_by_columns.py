"""Opens the images of table rows. The file name of an image is made from the columns of its row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curate.ingest.columns import require_columns
from curate.ingest.file_template import URL_FIELDS, USUAL_FILES, Files, Template
from curate.ingest.formats.columnar import sniffed_schema
from curate.ingest.formats.nested_tables import row_batches
from curate.ingest.images import OpenedImage
from curate.ingest.last_parts import LastParts
from curate.ingest.media_folder import MediaFolder, open_row_images
from curate.ingest.reader import Context, Head, Split
from manifests.errors import InputError, RowError


def images_by_columns(
    rows: list[dict[str, Any]],
    url: str,
    files: Files | None,
    folder: MediaFolder,
    context: Context,
    last_parts: LastParts,
    place: str,
) -> list[OpenedImage | RowError]:
    """Opens the image of each row in `folder`: the first file that exists, in the order of the
    templates `files`. A template makes a file name from the row: `{key}.jpg` -> `00042.jpg`.

    If `files` is None, the usual templates (USUAL_FILES) are tried, such as the key of the row or a
    digest of the url. `url` is the name of the column of urls. `last_parts` counts how many urls of
    the file have the same last part, and `place` is the file's name in error messages.
    """
    if not rows:
        return []
    names = {name for row in rows for name in row}
    templates = _templates(files, url, names, place)
    used = {name for template in templates for name in template.columns} & names
    urls = _texts(rows, url) if url in names else None
    columns = {name: _texts(rows, name) for name in used}
    return open_row_images(templates, columns, urls, folder, context, last_parts)


def check_templates(files: Files | None, url: str, head: Head, place: str) -> None:
    """Raises InputError if a parquet or Arrow file does not have the columns of the templates
    `files`. The columns of JSON are known only when its rows are read."""
    if (schema := sniffed_schema(head)) is not None:
        _templates(files, url, {*schema.names}, place)


def last_parts_of(split: Split, url: str, context: Context) -> LastParts:
    """Returns a counter that finds how many urls of the split's file have the same last part. `url`
    is the name of the column of urls. All urls of the file are read only when an image is found by
    the last part of its url."""
    return LastParts(context.base, split.files[0], url, lambda: _urls(split, url, context))


def _urls(split: Split, url: str, context: Context) -> Iterator[pa.Array]:
    """Yields the urls (column `url`) of all rows of the split's file, not only of the rows in the
    split."""
    for batch in row_batches(Split(split.files[:1]), context):
        yield _texts(batch.rows, url)


def _templates(files: Files | None, url: str, names: set[str], place: str) -> list[Template]:
    """Returns the templates of the recipe (`files`) or, if the recipe has no templates, the usual
    templates for which the table has all columns. `names` are the columns of the table."""
    known = names | (URL_FIELDS.keys() if url in names else set())
    if files is not None:
        templates = [Template(file) for file in files]
        for template in templates:
            require_columns(template.columns, known, "file", place)
        return templates
    usual = [Template(file) for file in (*USUAL_FILES, "{image_sha256}")]
    templates = [template for template in usual if template.columns <= known]
    if not templates:
        fault = (
            "the table has no column from which an image name can be made (url or key); "
            f"its columns are: {', '.join(sorted(known))}."
        )
        raise InputError(fault, place, "Set `file` to a template such as `{name}.jpg`.")
    return templates


def _texts(rows: list[dict[str, Any]], name: str) -> pa.Array:
    values = (row.get(name) for row in rows)
    return pa.array([None if value is None else str(value) for value in values], pa.string())
