"""Finds the images of table rows in a folder that has the downloaded images."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from curate.ingest.file_template import URL_FIELDS, Template, lower_suffix
from curate.ingest.images import OpenedImage, open_image
from curate.ingest.last_parts import LastParts
from curate.ingest.media_root import check_root, path_below
from curate.ingest.reader import Context
from manifests import storage
from manifests.errors import MediaError, RowError
from manifests.media import Reference
from manifests.media.header import SUFFIXES


class MediaFolder:
    """Finds images below `media_root` by name. The files of a subfolder are listed when the first
    image in this subfolder is searched for, and are not listed again."""

    def __init__(self, media_root: str, base: str) -> None:
        self.media_root, self._place = media_root, storage.resolve(base, media_root)
        check_root(media_root, base)
        self._folders: dict[str, tuple[str, Listed]] = {}

    def find(self, name: str) -> str | None:
        """Returns the uri of the file `name`. The suffix of an image may be omitted: `a/b` finds
        `a/b.jpg`. The case of the suffix may differ: `a.JPG` finds `a.jpg`.

        Returns None if the file does not exist. Raises RowError for a path that leads out of the
        folder or is malformed. Also raises RowError if no file has exactly this name, and several
        images have a name that differs from it only in the suffix or in the case of the suffix.
        """
        is_name = "/" not in name and "\\" not in name
        folder, _, last = (name if is_name else path_below(name, self._place)).rpartition("/")
        if folder not in self._folders:
            below = [folder] if folder else []
            listed = _list_folder(storage.join(self._place, *below))
            self._folders[folder] = storage.join(self.media_root, *below), listed
        uri, files = self._folders[folder]
        found = files.get(last) or files.get(lower_suffix(last))
        if isinstance(found, list):
            fault = f"several images have the name {last}: {' and '.join(found[:3])}."
            raise RowError(
                fault,
                storage.join(uri, last),
                "Keep only one of these images in the folder, or write the name exactly, with its "
                "suffix.",
            )
        return None if found is None else storage.join(uri, found)


Listed = dict[str, str | list[str]]
"""The files of a folder by name and by shorter names, as `_by_stem` returns them."""


def _list_folder(place: str) -> Listed:
    if storage.is_remote(place):
        return _by_stem(storage.names(place))
    if not os.path.isdir(place):  # the row names a folder that does not exist
        return {}
    with storage.storage_errors(place):
        return _list_local(place, os.stat(place).st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _list_local(place: str, modified_ns: int) -> Listed:
    """Lists the files of a local folder. `modified_ns`, the time of the last change, is not used in
    the function: it is part of the key of the cache, so that a folder is listed again after it has
    changed."""
    return _by_stem(os.listdir(place))


def _by_stem(names: list[str]) -> Listed:
    """Returns a dict for finding the files `names` also by shorter names. Its keys are the file
    names and, for images, also the file names without suffix and with the suffix in lower case. A
    value is a file name or, if a key stands for several files, the list of their names. A key that
    is itself the name of a file stands only for this file.

    `["b.JPG", "a.png", "a.jpg"] -> {"a": ["a.jpg", "a.png"], "b": "b.JPG", "b.jpg": "b.JPG",
    "a.jpg": "a.jpg", ...}`
    """
    stems: Listed = {}
    for name in sorted(names):
        stem, _, suffix = name.rpartition(".")
        if suffix.lower() in SUFFIXES:
            for short in {stem, lower_suffix(name)} - {name}:
                known = stems.get(short)
                several = [known] if isinstance(known, str) else known
                stems[short] = name if several is None else [*several, name]
    return stems | {name: name for name in names}


def open_row_images(
    templates: Sequence[Template],
    columns: Mapping[str, pa.Array],
    urls: pa.Array | None,
    folder: MediaFolder,
    context: Context,
    last_parts: LastParts,
) -> list[OpenedImage | RowError]:
    """Opens the image of each row: the first file that exists among the file names that `templates`
    make from the row's columns.

    `columns` has the columns that the templates use. `urls` is the column of urls, or None. If an
    image is found by the last part of its url, and `last_parts` counts several urls with this last
    part, the result is an error.
    """
    return [
        found if isinstance(found, RowError) else open_image(Reference(found), context.media)
        for found in _locate(templates, columns, urls, folder, last_parts)
    ]


def _locate(
    templates: Sequence[Template],
    columns: Mapping[str, pa.Array],
    urls: pa.Array | None,
    folder: MediaFolder,
    last_parts: LastParts,
) -> list[str | RowError]:
    """Returns the uri of the image of each row, or an error if the image was not found. A template
    is tried only for the rows whose image was not found with the templates before."""
    rows = len(urls) if urls is not None else len(next(iter(columns.values())))
    found: dict[int, str | RowError] = {}
    tried: dict[int, list[str]] = {row: [] for row in range(rows)}
    for template in templates:
        missing = [row for row in tried if row not in found]
        names = template.fill(_values(template.columns, columns, urls, missing))
        for row, name in zip(missing, names, strict=True):
            if name is not None:
                tried[row].append(name)
                if (place := _find(folder, name)) is not None:
                    found[row] = place
        if template.columns == {"url_name"} and urls is not None:
            found |= _ambiguous(
                {row: found[row] for row in missing if row in found}, urls, last_parts
            )
    return [found.get(row) or _not_found(urls, row, tried[row], folder) for row in range(rows)]


def _ambiguous(
    found: dict[int, str | RowError], urls: pa.Array, last_parts: LastParts
) -> dict[int, str | RowError]:
    """Returns an error for each row whose image may have been downloaded from another url. `found`
    has the rows whose image was found by the last part of its url; its values are the uris of these
    images."""
    if not found:
        return {}
    own = urls.take(pa.array(list(found), pa.int64()))
    counted = zip(found.items(), own.to_pylist(), last_parts.urls(own), strict=True)
    return {
        row: RowError(
            f"{number} different urls of the file, with {url!r:.200} among them, have the same "
            "last part, so it is not known from which of these urls the image with this name was "
            "downloaded.",
            place if isinstance(place, str) else "",
            "Name each image by its complete url, for example by the SHA-256 of the url, and set "
            "`file` to the pattern of these names, such as `{url_sha256}`. If the "
            "reader has no setting `file`, leave the rows in quarantine.",
        )
        for (row, place), url, number in counted
        if number > 1
    }


def _values(
    names: set[str],
    columns: Mapping[str, pa.Array],
    urls: pa.Array | None,
    rows: list[int],
) -> dict[str, pa.Array]:
    """Returns the values of the template fields `names` for the rows with the numbers `rows`, by
    field name."""
    chosen = pa.array(np.asarray(rows, np.int64))
    return {
        name: URL_FIELDS[name](urls.take(chosen))
        if urls is not None and name in URL_FIELDS
        else columns[name].take(chosen)
        for name in names
    }


def _find(folder: MediaFolder, name: str) -> str | RowError | None:
    try:
        return folder.find(name)
    except RowError as error:
        return error


def _not_found(
    urls: pa.Array | None, row: int, tried: list[str], folder: MediaFolder
) -> MediaError:
    what = "this row" if urls is None else repr(urls[row].as_py())
    if not tried:
        return MediaError(
            f"no name of an image file can be made for {what:.200}: the columns that the names "
            "are made from are empty.",
            fix="Fill one of these columns, or leave the row in quarantine.",
        )
    return MediaError(
        f"there is no image file for {what:.200} in the folder {folder.media_root}: looked for "
        f"{', '.join(tried)}.",
        fix=(
            "curate downloads no images: copy the file to this folder, or, if the reader has the "
            "setting `file`, set it to the template of the file's name."
        ),
    )
