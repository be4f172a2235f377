"""Keeps entries on the local disk until they are uploaded to a journal on object storage.

If a process is killed before the upload, the next process on the same machine that opens the
journal uploads the entries.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile

from manifests import storage
from manifests.errors import StorageError
from recaption.client.entries import SUFFIX, create_locked, intact, try_lock, write_all


class Spool:
    """The local file with those entries of one process that are not yet uploaded to the journal in
    `folder`."""

    def __init__(self, folder: str, name: str) -> None:
        self._path = os.path.join(_place(folder), name)
        self._fd = create_locked(self._path)

    def write(self, line: bytes) -> None:
        with storage.storage_errors(self._path):
            write_all(self._fd, line)

    def clear(self) -> None:
        """Remove all entries, because they are uploaded."""
        with storage.storage_errors(self._path):
            os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Close the file, and delete it unless it has entries that are not uploaded."""
        try:
            if not os.fstat(self._fd).st_size:
                storage.delete(self._path)
        finally:
            os.close(self._fd)


def recover(folder: str) -> None:
    """Upload the entries that ended processes have left in their spools."""
    place = _place(folder)
    for name in sorted(os.listdir(place)):
        if not name.startswith("."):
            _recover(os.path.join(place, name), folder)


def _place(folder: str) -> str:
    """Returns the local folder for the spools of a journal, and makes it if it does not exist.
    Raises StorageError if another user has made it, who could read and change the replies."""
    digest = hashlib.blake2b(folder.encode(), digest_size=12).hexdigest()
    place = os.path.join(tempfile.gettempdir(), f"curate-{os.getuid()}-spool-{digest}")
    with storage.storage_errors(place):
        os.makedirs(place, mode=0o700, exist_ok=True)
        is_own = os.lstat(place).st_uid == os.getuid()
    if not is_own:
        fix = "Set the environment variable TMPDIR to a folder of your own."
        raise StorageError("this folder belongs to another user", place, fix)
    return place


def _recover(path: str, folder: str) -> None:
    """Upload a spool and delete it, unless its process is running."""
    with (
        storage.storage_errors(path),
        contextlib.suppress(FileNotFoundError),  # another process has recovered it
        open(path, "r+b") as file,
    ):
        if not try_lock(file.fileno(), fcntl.LOCK_EX):
            return
        if data := b"".join(line for line in file if intact(line) is not None):
            uri = storage.join(folder, f"{os.path.basename(path)}-spool{SUFFIX}")
            storage.write_bytes(uri, data)
        os.remove(path)
