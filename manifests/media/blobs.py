"""Stores the bytes of media that readers and steps make, such as cropped images. A part is a file
of records; the bytes of its media are in another file next to it."""

from __future__ import annotations

from collections.abc import Callable

from manifests.media.reference import Reference
from manifests.storage import Sink


class BlobFile:
    """A function that appends bytes to a new file, and returns a reference to these bytes.

    `uri`: the uri of the file in records, `kept:...`. `open_sink`: opens the file when the first
    bytes are stored; None if no bytes may be stored. `start`: the offset at which the new file
    begins in the file that `uri` names.
    """

    def __init__(
        self, uri: str = "", open_sink: Callable[[], Sink] | None = None, start: int = 0
    ) -> None:
        self.uri, self._open, self._start = uri, open_sink, start
        self._sink: Sink | None = None

    def __call__(self, data: bytes | memoryview) -> Reference:
        if self._sink is None:
            assert self._open is not None, "nothing may be stored here"
            self._sink = self._open()
        offset = self._start + self._sink.size_bytes
        self._sink.write(data)
        return Reference(self.uri, offset, len(data))

    @property
    def sink(self) -> Sink | None:
        """The file that was written; None if no bytes were stored."""
        return self._sink
