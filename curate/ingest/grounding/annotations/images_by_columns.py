"""Rows by name joined to the images that lie in a folder, by url, key or digest."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curate.ingest.columns import require
from curate.ingest.images import OpenedImage
from curate.ingest.media_folder import FILES, FROM_URL, Files, Shelf, Template, joined
from curate.ingest.reader import Context
from manifests.errors import InputError, RowError


def images_by_columns(
    rows: list[dict[str, Any]],
    url: str,
    files: Files | None,
    shelf: Shelf,
    context: Context,
    place: str,
) -> list[OpenedImage | RowError]:
    """The image of each row: where `files` say it lies, or else its url, its key or the like."""
    if not rows:
        return []
    names = {name for row in rows for name in row}
    templates = _templates(files, names | (FROM_URL.keys() if url in names else set()), place)
    wanted = {name for template in templates for name in template.columns} & names
    urls = _texts(rows, url) if url in names else None
    return joined(templates, {name: _texts(rows, name) for name in wanted}, urls, shelf, context)


def _templates(files: Files | None, known: set[str], place: str) -> list[Template]:
    """Those set, or the usual ones that the columns allow."""
    templates = [Template(file) for file in files or (*FILES, "{image_sha256}")]
    if files is not None:
        for template in templates:
            require(template.columns, known, "file", place)
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
