"""Types with which a step declares what it needs: resources of a worker, the size of images, and
models. Also `Location` and `Bound`, which mark settings that do not change what the step measures.
"""

from __future__ import annotations

from typing import NamedTuple


class Resources(NamedTuple):
    """The CPUs, GPUs and memory that a worker needs to run the step. `workers` is how many workers
    may run the step at once; None means as many as there are."""

    cpus: float = 1
    gpus: float = 0
    memory_bytes: int = 0
    workers: int | None = None


class Images(NamedTuple):
    """The minimum size of the images that a step needs. `min_side` is the length of the shorter
    side in pixels; None means full size."""

    min_side: int | None = None


class ModelIdentity(NamedTuple):
    """The identity of a model: its name, and its digest or revision. The path of the model's file
    is not part of the identity."""

    name: str
    revision: str


class Location:
    """Marks a setting that only states where a model or file is, such as a path or an endpoint, or
    how the endpoint is asked, such as a time limit.

    Example: `path: Annotated[str, Location()]`. The setting is not part of the step's identity, so
    a model file can be moved. The content of the file is part of the identity, through the step's
    methods `models` and `files`.
    """


class Bound:
    """Marks a setting that only the step's method `decide` uses: a minimum, a maximum, or a list of
    values to keep.

    Example: `min: Annotated[int | None, Bound()] = None`. The step's method `measure` does not
    depend on the setting, so the engine uses stored measures again when the setting changes.
    """
