"""Finds the folder of images, checks the paths below it, and opens the image at a path."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

from curate.ingest.images import OpenedImage, open_image
from manifests import storage
from manifests.errors import InputError, MediaError, RowError
from manifests.media import Media, Reference
from manifests.storage import File

ROOT_DESCRIPTION = "folder to which the paths are relative; null: the folder of the file itself"


def check_root(media_root: str, base: str) -> None:
    """Raises InputError if the folder of images does not exist. This is an error of the recipe, not
    of a row. `base` is the folder to which `media_root` is relative."""
    if not storage.exists(storage.resolve(base, media_root)):
        raise InputError("there is no such folder.", media_root, "Check the setting 'media_root'.")


def root_of(media_root: str | None, file: File, base: str) -> str:
    """The folder to which the paths in a file are relative: `media_root` or, if it is None, the
    file's own folder. `base` is the folder to which `media_root` is relative.

    Raises InputError if `media_root` is set and does not exist.
    """
    if media_root is not None:
        check_root(media_root, base)
        return media_root
    return storage.folder_of(file.uri)


def path_below(path: str, place: str = "") -> str:
    """Normalises a path relative to the folder `place`: `a/./b.jpg` -> `a/b.jpg`.

    A backslash separates folders, as in paths written on Windows. A full path or url is accepted if
    it is inside the folder, and becomes relative to the folder:

        path_below("file:///data/img/a%20b.jpg", "/data/img") -> "a b.jpg"

    Raises RowError for any other full path or url, for a path that leaves the folder or is the
    folder itself (`a/..`), and for a path that is empty or has a zero byte.
    """
    plain = _without_root(_unescaped(path).replace("\\", "/"), place)
    if not plain or "\0" in plain:
        raise RowError(f"{path!r:.200} is not a path below media_root")
    if plain.startswith("/") or "://" in plain or _DRIVE.match(plain):
        fix = _FIX_URL if "://" in plain else _FIX_FULL
        raise RowError(f"{path!r:.200} is not a path below media_root", fix=fix)
    plain = posixpath.normpath(plain)
    if plain == ".":
        raise RowError(f"{path!r:.200} is media_root itself, not a file below it")
    if plain == ".." or plain.startswith("../"):
        raise RowError(f"{path!r:.200} is outside media_root")
    return plain


_FIX_FULL = (
    "Write a path relative to media_root, or set media_root to a folder that contains the file."
)
_FIX_URL = "curate downloads no images: write the path of the file below media_root."
_DRIVE = re.compile(r"[A-Za-z]:/")
_FILE_URL = re.compile(r"file:(?://(?:localhost)?(?=/))?(?=/)", re.IGNORECASE)


def _unescaped(path: str) -> str:
    """Returns the path in a `file:` url, with its percent-encoded characters decoded:
    `file:///a%20b.jpg` -> `/a b.jpg`. Any other path or url is returned unchanged."""
    found = _FILE_URL.match(path)
    return unquote(path[found.end() :]) if found else path


def _without_root(path: str, place: str) -> str:
    """Makes a full path or url relative to the folder `place`. A path or url that is not inside the
    folder is returned unchanged."""
    if not place or not (path.startswith("/") or "://" in path):
        return path
    is_url = "://" in path
    if is_url != storage.is_remote(place):
        return path
    plain = path if is_url else posixpath.normpath(path)
    for root in (place,) if is_url else (posixpath.abspath(place), posixpath.realpath(place)):
        inside = storage.split_query(root)[0].rstrip("/") + "/"
        if plain.startswith(inside):
            return plain.removeprefix(inside)
    return path


def open_below(media_root: str, path: str, media: Media) -> OpenedImage | RowError:
    """Opens the image at a path below `media_root`. An error is returned, not raised.

    If there is no such file, the path is tried with its ending in lower case and in upper case: the
    path `a.JPG` opens the file `a.jpg`. A broken file is an error, whatever lies beside it.
    """
    try:
        place = "" if path[:1].isalnum() and ":" not in path else media.resolve(media_root)
        plain = path_below(path, place)
    except RowError as error:
        return error
    opened = open_image(Reference(uri := storage.join(media_root, plain)), media)
    if isinstance(opened, MediaError) and storage.size_and_stamp(media.resolve(uri)) is None:
        for name in _other_case(plain):
            uri = storage.join(media_root, name)
            if storage.size_and_stamp(media.resolve(uri)) is not None:
                return open_image(Reference(uri), media)
    return opened


def _other_case(path: str) -> list[str]:
    """Returns the paths that differ from a path only because their ending is in lower case or in
    upper case: `a.JPG` -> [`a.jpg`]."""
    stem, dot, ending = path.rpartition(".")
    names = {f"{stem}{dot}{one}" for one in (ending.lower(), ending.upper())}
    return sorted(names - {path}, reverse=True)
