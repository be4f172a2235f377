"""Tasks that make one part of a pass from the files that the passes before made for this part."""

from __future__ import annotations

from dataclasses import dataclass

from curate.engine.part_view import PartView
from manifests.run.manifest import Commit


@dataclass(frozen=True)
class PartTask:
    """A task that makes one part from the part of the same name in the passes before. `view` is
    this earlier part."""

    view: PartView

    @property
    def part(self) -> str:
        return self.view.name

    @property
    def inputs_digest(self) -> str:
        return self.view.digest


@dataclass(frozen=True)
class MeasureTask(PartTask):
    """A task that measures one part.

    `earlier` lists the files of an earlier measurement of the same rows. If it is given, only rows
    with a transient error, such as a server that did not answer, are measured again. `following`
    are the tasks that the same worker will probably get next.
    """

    earlier: Commit | None = None
    following: tuple[MeasureTask, ...] = ()
