"""Where the paths of an annotation file start: the folder that is set, or the file's own."""

from __future__ import annotations

from curate.ingest.media_folder import check_root
from manifests import storage
from manifests.storage import File

DESCRIPTION = "folder that the paths start from; null: the file's own folder"


def root_of(media_root: str | None, file: File, base: str) -> str:
    """The folder of a file's images. InputError where the one that is set is not there."""
    if media_root is not None:
        check_root(media_root, base)
        return media_root
    path, mark, query = (
        file.uri.partition("?") if storage.is_remote(file.uri) else (file.uri, "", "")
    )
    return path.rpartition("/")[0] + mark + query
