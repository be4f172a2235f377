"""Files on local disk, S3 and GCS: read, list, and write them completely or not at all."""

from manifests.storage.files import (
    TEMPORARY,
    Sink,
    clear_unfinished,
    delete,
    delete_folder,
    exists,
    make_folder,
    open_input,
    open_stream,
    read_bytes,
    size_and_stamp,
    storage_errors,
    write_bytes,
    writing,
)
from manifests.storage.listing import File, glob_pattern, list_files
from manifests.storage.paths import base_name, filesystem, is_remote, join, resolve

__all__ = [
    "TEMPORARY", "File", "Sink", "base_name", "clear_unfinished", "delete", "delete_folder",
    "exists", "filesystem", "glob_pattern", "is_remote", "join", "list_files", "make_folder",
    "open_input", "open_stream", "read_bytes", "resolve", "size_and_stamp", "storage_errors",
    "write_bytes", "writing",
]  # fmt: skip
