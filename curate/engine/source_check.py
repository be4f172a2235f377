"""Checks the sources of a recipe before the first of them is read: the names of their files, and
the first bytes of a few files of each source."""

from __future__ import annotations

import contextlib

from curate import catalog
from curate.engine.media_options import MediaOptions
from curate.ingest import sniff
from curate.ingest.media_root import check_root
from curate.ingest.reader import Context, Head, Reader, recipe_uri
from curate.ingest.source_files import SourceFiles
from manifests import storage
from manifests.errors import CurateError, FileError, InputError, UnreadableError
from manifests.media.blobs import BlobFile
from manifests.storage import File

_FILES = 3
"""The number of files after which the check of a source ends, if its reader accepted none of them.
A few are enough, because a wrong reader fails on every file (our choice)."""
_GROUPED_FILES = 10_000
"""The number of files among which the files to check are chosen (our choice: a tenth of a
second)."""


def checked_files(reader: Reader, media: MediaOptions) -> SourceFiles:
    """Return the files of a source.

    Raises InputError if there are none, or if the first files show that the reader or its settings
    are wrong. Usually the start of one file is read.
    """
    files = listed_files(reader, media.base)
    check_content(reader, files.readable, media)
    return files


def listed_files(reader: Reader, base: str) -> SourceFiles:
    """List the files of a source.

    If no file has a suffix that the reader accepts, the content of the files is checked, so that
    the error can name the right reader.
    """
    try:
        return reader.find_files(base)
    except InputError:
        where = storage.resolve(base, reader.path)
        others = storage.list_files(where)
        _accepted(
            reader, [f._replace(uri=recipe_uri(reader.path, where, f.uri)) for f in others], base
        )
        raise


def check_content(reader: Reader, files: list[File], media: MediaOptions) -> None:
    """Raise InputError if the reader accepts none of the first few files by their content, or if
    the first file that the reader accepts contradicts the reader's settings. `files` are the files
    of the source."""
    root = getattr(reader, "media_root", None)
    if root is not None:
        check_root(root, media.base)
    groups = reader.groups(files[:_GROUPED_FILES])  # it puts files that show the format first
    found = _accepted(reader, [group[0] for group in groups], media.base)
    if found is None:
        return
    with (
        contextlib.closing(media.open()) as opened,
        contextlib.suppress(FileError, UnreadableError),  # the file will be quarantined
    ):
        reader.check_settings(*found, Context(media.base, opened, BlobFile()))


def _accepted(reader: Reader, files: list[File], base: str) -> tuple[File, Head] | None:
    """Return the first of a few files that the reader accepts by its content, and the start of the
    file; None if all files are empty, or if the reader is not in the catalog. Raises InputError if
    the reader accepts none of them."""
    name = next((n for n, kind in catalog.readers().items() if kind is type(reader)), None)
    if name is None:
        return None
    refused: list[CurateError] = []
    for file in [file for file in files if file.size][:_FILES]:
        try:
            return file, sniff.check(name, type(reader), file, base, catalog.readers())
        except (InputError, UnreadableError) as error:
            refused.append(error)
    if refused:
        raise refused[0]
    return None
