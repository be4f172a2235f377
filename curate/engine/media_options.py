"""Settings that every task of a run needs: where media are found, and the limits on the size of
media and on the time for a record."""

from __future__ import annotations

from typing import NamedTuple

from manifests.media import Limits, Media
from manifests.step import Images


class MediaOptions(NamedTuple):
    """Where media are found, and the limits on their size and on the time for a record.

    `base` is the folder that relative uris start from. `kept` is the folder of the media that
    readers copied from their inputs, and of the bytes that steps made. `limits` are the limits on
    the size of media. `max_cpu_seconds` limits the CPU time of one record; 0 means that there is no
    limit.
    """

    base: str
    kept: str
    limits: Limits
    max_cpu_seconds: float = 0

    def open(self, images: Images | None = None) -> Media:
        """Returns an object that reads and decodes media. `images` is the size at which steps use
        the images; None means full size."""
        return Media(self.base, self.kept, self.limits, images.min_side if images else None)
