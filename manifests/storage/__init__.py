"""Files on local disk, S3 and GCS: read, list, and write them completely or not at all."""

from manifests.storage.files import (
    TEMPORARY,
    Sink,
    clear_unfinished,
    delete,
    delete_folder,
    exists,
    files_below,
    is_inside,
    make_folder,
    names,
    open_input,
    open_stream,
    read_bytes,
    size_and_stamp,
    storage_errors,
    write_bytes,
    writing,
)
from manifests.storage.listing import File, glob_pattern, list_files
from manifests.storage.paths import absolute, base_name, filesystem, is_remote, join, resolve

__all__ = [
    "TEMPORARY", "File", "Sink", "absolute", "base_name", "clear_unfinished", "delete",
    "delete_folder", "exists", "files_below", "filesystem", "glob_pattern", "is_inside",
    "is_remote", "join", "list_files", "make_folder", "names", "open_input", "open_stream",
    "read_bytes", "resolve", "size_and_stamp", "storage_errors", "write_bytes", "writing",
]  # fmt: skip
