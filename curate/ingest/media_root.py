"""Finds the folder of images, checks the paths below it, and opens the image at a path."""

from __future__ import annotations

import posixpath

from curate.ingest.images import OpenedImage, open_image
from manifests import storage
from manifests.errors import InputError, RowError
from manifests.media import Media, Reference
from manifests.storage import File

ROOT_DESCRIPTION = "folder that the paths start from; null: the file's own folder"


def check_root(media_root: str, base: str) -> None:
    """Raises InputError if the folder of images does not exist. This is an error of the recipe, not
    of a row."""
    if not storage.exists(storage.resolve(base, media_root)):
        raise InputError("there is no such folder.", media_root, "Check the setting 'media_root'.")


def root_of(media_root: str | None, file: File, base: str) -> str:
    """The folder to which the paths in a file are relative: `media_root` or, if it is None, the
    file's own folder.

    Raises InputError if `media_root` is set and does not exist.
    """
    if media_root is not None:
        check_root(media_root, base)
        return media_root
    path, mark, query = (
        file.uri.partition("?") if storage.is_remote(file.uri) else (file.uri, "", "")
    )
    return path.rpartition("/")[0] + mark + query


def path_below(path: str) -> str:
    """Normalises a relative path: `a/./b.jpg` -> `a/b.jpg`.

    Raises RowError if the path is empty, absolute, a url, or outside the folder.
    """
    if not path or "\0" in path or "://" in path or path.startswith("/"):
        raise RowError(f"{path!r:.200} is not a path below media_root")
    plain = posixpath.normpath(path)
    if plain in (".", "..") or plain.startswith("../"):
        raise RowError(f"{path!r:.200} is outside media_root")
    return plain


def open_below(media_root: str, path: str, media: Media) -> OpenedImage | RowError:
    """Opens the image at a path below `media_root`. An error is returned, not raised."""
    try:
        return open_image(Reference(storage.join(media_root, path_below(path))), media)
    except RowError as error:
        return error
