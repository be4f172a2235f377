"""Finds an image by the end of its path, because a copy of the data set may lack leading
folders."""

from __future__ import annotations

from curate.ingest.images import OpenedImage, open_image
from curate.ingest.media_root import open_below, path_below
from manifests import storage
from manifests.errors import RowError
from manifests.media import Media, Reference


def image_by_path_end(root: str, path: str, media: Media) -> OpenedImage | RowError:
    """Opens the image at `path` below `root`. If it does not exist, leading folders are removed one
    by one.

    For `images/v1/patch8/a.jpg` the function tries that path, then `v1/patch8/a.jpg`,
    `patch8/a.jpg` and `a.jpg`.
    """
    try:
        names = path_below(path, media.resolve(root)).split("/")
    except RowError as error:
        return error
    for start in range(len(names)):
        uri = storage.join(root, *names[start:])
        if storage.size_and_stamp(media.resolve(uri)) is not None:
            return open_image(Reference(uri), media)
    return open_below(root, path, media)
