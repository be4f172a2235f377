"""What every task of a run needs to open media."""

from __future__ import annotations

from typing import NamedTuple

from manifests.media import Limits, Media


class MediaOptions(NamedTuple):
    """`base`: the folder that relative uris start from; `kept`: the folder that holds the media
    which readers copied out of their inputs."""

    base: str
    kept: str
    limits: Limits

    def open(self, image_side: int | None = None) -> Media:
        """`image_side`: the shorter side, in pixels, that steps ask for; None: no images."""
        return Media(self.base, self.kept, self.limits, image_side)
