"""What a step is given beside its rows."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from manifests.media import Media, Reference
from manifests.step.corpus import Part


class Blobs(Protocol):
    """Stores bytes that a step makes, such as a crop, a clip or a page, beside the part."""

    def __call__(self, data: bytes | memoryview) -> Reference:
        """Store the bytes; the reference goes into a record's `media`."""
        ...


class Context(NamedTuple):
    """What a step is given for a batch.

    `media` opens images and videos. `blobs` stores bytes, if the step declares `stores_bytes`.
    `seed` is made of the step's name and, if the step declares `uses_seed`, of the recipe's seed.
    `model` is what `load` returned. `part` is the part of the rows in `apply` of a corpus step,
    otherwise None.
    """

    media: Media
    blobs: Blobs
    seed: int = 0
    model: Any = None
    part: Part | None = None
