"""How every task of a run opens media."""

from __future__ import annotations

from typing import NamedTuple

from manifests.media import Limits, Media


class MediaOptions(NamedTuple):
    """`base`: the folder that relative uris start from; `kept`: the folder of the media that
    readers copied out of their inputs."""

    base: str
    kept: str
    limits: Limits

    def open(self, image_side: int | None = None) -> Media:
        """`image_side`: the shorter side, in pixels, at which images will be looked at."""
        return Media(self.base, self.kept, self.limits, image_side)
