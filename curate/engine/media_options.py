"""The settings that every task of a run needs."""

from __future__ import annotations

from typing import NamedTuple

from manifests.media import Limits, Media
from manifests.step import Images


class MediaOptions(NamedTuple):
    """Where media are found. `base` is the folder that relative uris start from. `kept` is the
    folder of the media that readers copied from their inputs, and of the bytes that steps made.
    `max_cpu_seconds` limits the time of one record; 0: no limit."""

    base: str
    kept: str
    limits: Limits
    max_cpu_seconds: float = 0

    def open(self, images: Images | None = None) -> Media:
        """Return an object that opens media. `images` is the size at which steps use the images."""
        return Media(self.base, self.kept, self.limits, images.min_side if images else None)
