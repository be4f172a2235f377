"""A recipe as passes: pure, printable, and the same on every machine.

Every pass has a fingerprint: its own settings and those of all before it. A source's reading and
the steps after it are fingerprinted apart, so a new source or file leaves the others' work valid.
"""

from __future__ import annotations

from typing import NamedTuple

from curate.engine.planned import PlannedStep
from curate.ingest.reader import Reader
from curate.recipe import Loaded
from manifests.run.fingerprint import fingerprint

RECORDS_VERSION = 1
"""Raised when the record schema or the part format changes its meaning."""


class PlannedPass(NamedTuple):
    """One pass: `read` a source, fused `rows`, a `corpus` step, the global `order`, or the
    `shards` of a format."""

    kind: str
    number: int
    name: str
    fingerprint: str
    steps: list[PlannedStep]
    before: list[PlannedStep]
    reader: Reader | None = None

    @property
    def folder(self) -> str:
        """Named by what the pass does; shards of a format lie in one place, so they have one."""
        if self.kind == "shards":
            return f"write-{self.name}"
        return f"{self.number:02d}-{self.name}-{self.fingerprint}"

    @property
    def title(self) -> str:
        if self.steps:
            return " + ".join(step.name for step in self.steps)
        verb = {"read": "read ", "shards": "write "}.get(self.kind, "")
        return verb + self.name


def plan(loaded: Loaded) -> list[PlannedPass]:
    """The passes of a recipe, in the order they run."""
    recipe, base = loaded.recipe, loaded.base
    limits = recipe.media.model_dump(mode="json")
    passes = [_read(reader, limits) for reader in loaded.readers]
    chain = fingerprint([RECORDS_VERSION])
    done: list[PlannedStep] = []
    for group in _groups(loaded.steps):
        kind = "corpus" if group[0].shape == "corpus" else "rows"
        seed = recipe.seed if kind == "corpus" else None
        chain = fingerprint([chain, [s.identity(base) for s in group], limits, seed])
        passes.append(PlannedPass(kind, len(done) + 1, group[0].name, chain, group, list(done)))
        done += group
    shards = recipe.shards.model_dump(mode="json", exclude={"formats"})
    order = fingerprint([chain, recipe.seed if recipe.shards.shuffle else None])
    passes.append(PlannedPass("order", len(done) + 1, "order", order, [], done))
    for name in recipe.shards.formats:
        mark = fingerprint([order, name, shards, limits])
        passes.append(PlannedPass("shards", len(done) + 2, name, mark, [], done))
    return passes


def notes(loaded: Loaded) -> list[str]:
    """What the steps have to say before anything runs."""
    return [
        f"{planned.name}: {note}"
        for planned in loaded.steps
        for note in planned.step.notes(loaded.base)
    ]


def _read(reader: Reader, limits: dict[str, object]) -> PlannedPass:
    kind = type(reader)
    identity = {
        "records": RECORDS_VERSION,
        "kind": f"{kind.__module__}:{kind.__qualname__}",
        "version": kind.version,
        "settings": reader.model_dump(mode="json"),
        "limits": limits,
    }
    return PlannedPass("read", 0, reader.name, fingerprint(identity), [], [], reader)


def _groups(steps: list[PlannedStep]) -> list[list[PlannedStep]]:
    """Consecutive row and reshape steps together, corpus steps each alone."""
    groups: list[list[PlannedStep]] = []
    for step in steps:
        alone = step.shape == "corpus" or not groups or groups[-1][0].shape == "corpus"
        if alone:
            groups.append([step])
        else:
            groups[-1].append(step)
    return groups
