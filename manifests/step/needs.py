"""What a step needs where it runs, and which of its settings are no part of what it answers."""

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
    """A model by what it is, not by where it lies: its name, and a digest or a revision."""

    name: str
    revision: str


class Location:
    """Marks a setting that says only where something is: a path, an endpoint, a cache folder.

    `path: Annotated[str, Location()]`. It is no part of the step's identity, so a model file may
    move; what lies there enters by `models` or `files`.
    """


class Bound:
    """Marks a setting that only `decide` uses: a minimum, a maximum, a list of values to keep.

    `min: Annotated[int | None, Bound()] = None`. It is no part of what `measure` answers: when it
    changes, measures that are kept are not made again.
    """
