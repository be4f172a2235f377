"""What the engine passes to a step in addition to its rows."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from manifests.media import Media, Reference
from manifests.step.corpus import Part
from manifests.step.request import ModelClient


class Blobs(Protocol):
    """A function that stores bytes which a step makes, such as a cropped image, in a file next to
    the file of the records."""

    def __call__(self, data: bytes | memoryview) -> Reference:
        """Store the bytes. Returns a reference to them, which the step puts into the `media` of a
        record."""
        ...


class Context(NamedTuple):
    """What the engine passes to a step with each batch.

    `media` opens images and videos. `blobs` stores bytes, if the step declares `stores_bytes`.
    `seed` is derived from the step's name and, if the step declares `uses_seed`, from the recipe's
    seed. `model` is the object that the step's method `load` returned. `part` is the file of
    records that the rows are in, if the method `apply` of a corpus step is called; otherwise it is
    None. `client` sends the requests of a request step; it is None for other steps.
    """

    media: Media
    blobs: Blobs
    seed: int = 0
    model: Any = None
    part: Part | None = None
    client: ModelClient | None = None
