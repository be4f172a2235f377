"""Rows by name joined to the images that lie in a folder, by url, key or digest."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curate.ingest.columns import require_columns
from curate.ingest.file_template import URL_FIELDS, USUAL_FILES, Files, Template
from curate.ingest.images import OpenedImage
from curate.ingest.media_folder import MediaFolder, open_row_images
from curate.ingest.reader import Context
from manifests.errors import InputError, RowError


def images_by_columns(
    rows: list[dict[str, Any]],
    url: str,
    files: Files | None,
    shelf: MediaFolder,
    context: Context,
    place: str,
) -> list[OpenedImage | RowError]:
    """The image of each row: where `files` say it lies, or else its url, its key or the like."""
    if not rows:
        return []
    names = {name for row in rows for name in row}
    templates = _templates(files, names | (URL_FIELDS.keys() if url in names else set()), place)
    wanted = {name for template in templates for name in template.columns} & names
    urls = _texts(rows, url) if url in names else None
    return open_row_images(
        templates, {name: _texts(rows, name) for name in wanted}, urls, shelf, context
    )


def _templates(files: Files | None, known: set[str], place: str) -> list[Template]:
    """Those set, or the usual ones that the columns allow."""
    templates = [Template(file) for file in files or (*USUAL_FILES, "{image_sha256}")]
    if files is not None:
        for template in templates:
            require_columns(template.columns, known, "file", place)
        return templates
    usual = [template for template in templates if template.columns <= known]
    if not usual:
        there = ", ".join(sorted(known))
        fix = "Set `file` to how the images are named."
        raise InputError(f"no column of urls or keys: there are {there}.", place, fix)
    return usual


def _texts(rows: list[dict[str, Any]], name: str) -> pa.Array:
    values = (row.get(name) for row in rows)
    return pa.array([None if v is None else str(v) for v in values], pa.string())
