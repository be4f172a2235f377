"""What a worker must have to run a step, and which settings of a step do not change what it answers
or measures."""

from __future__ import annotations

from typing import NamedTuple


class Resources(NamedTuple):
    """CPUs, GPUs and memory of one worker that runs the step."""

    cpus: float = 1
    gpus: float = 0
    memory_bytes: int = 0


class Images(NamedTuple):
    """The size at which a step looks at images: the shorter side in pixels; None: full size."""

    min_side: int | None = None


class ModelIdentity(NamedTuple):
    """The identity of a model: its name, and a digest or a revision. The place of its file is not
    part of it."""

    name: str
    revision: str


class Location:
    """Marks a setting that says only where something is: a path, an endpoint, a cache folder.

    `path: Annotated[str, Location()]`. It is not part of the step's identity, so a model file may
    move. Its content is part of it, through `models` or `files`.
    """


class Bound:
    """Marks a setting that only `decide` uses: a minimum, a maximum, a list of values to keep.

    `min: Annotated[int | None, Bound()] = None`. `measure` does not depend on it: when it changes,
    stored measures are used again.
    """
