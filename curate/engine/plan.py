"""Converts a recipe to its passes. The plan is the same on every machine; `curate plan` prints it.

The fingerprint of a pass depends on the settings of this pass and of all passes before it. Each
source has its own fingerprint, so if a source is added, the run does not read the other sources
again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from curate.engine.fused import FusedSteps
from curate.engine.passes import (
    CorpusPass,
    DecidePass,
    MeasurePass,
    OrderPass,
    Pass,
    ReadPass,
    RowsPass,
    ShardsPass,
)
from curate.engine.planned import PlannedStep
from curate.ingest.reader import Reader
from curate.recipe import Loaded
from manifests import storage
from manifests.run.fingerprint import fingerprint
from manifests.step import RequestStep
from manifests.step.spelling import nearest

RECORDS_VERSION = 2
"""The version of the record format. It increases when the meaning of the record schema or of the
part format changes."""


def plan(loaded: Loaded) -> list[Pass[Any]]:
    """Return the passes of a recipe, in the order in which they run."""
    limits = loaded.recipe.media.model_dump(mode="json")
    reads = [_read_pass(reader, limits) for reader in loaded.readers]
    steps = _step_passes(loaded, limits)
    last = steps[-1].fingerprint if steps else _FIRST
    return [*reads, *steps, *_shard_passes(loaded, limits, last)]


_FIRST = fingerprint([RECORDS_VERSION])


def notes(loaded: Loaded) -> list[str]:
    """Return the notes of the steps for the user, which are printed before the run. Each note
    starts with the name of its step."""
    sources = [reader.name for reader in loaded.readers]
    return [
        f"{planned.name}: {note}"
        for planned in loaded.steps
        for note in (
            *_unknown_sources(planned, sources),
            *planned.step.notes(loaded.base),
            *_journal_notes(planned, loaded.base),
            *_key_notes(planned),
        )
    ]


def _unknown_sources(planned: PlannedStep, sources: list[str]) -> Iterator[str]:
    """Yield a note for each source that the step's setting `only` names and the recipe does not
    have. This is no error, because several recipes may share the same steps (`base`)."""
    for name in (planned.only or {}).get("source", []):
        if name not in sources:
            yield f"only: there is no source named {name!r}. {nearest(str(name), sources)}"


def _journal_notes(planned: PlannedStep, base: str) -> list[str]:
    """Return a note for each damaged entry in the journal of a request step."""
    if not isinstance(planned.step, RequestStep):
        return []
    from recaption.client.entries import damage

    return damage(storage.resolve(base, planned.step.journal))


def _key_notes(planned: PlannedStep) -> Iterator[str]:
    """Yield a note if the environment variable for the API key of a request step is not set. This
    is no error, because another machine may send the requests, or the journal may have all
    replies."""
    name = planned.step.api_key_variable if isinstance(planned.step, RequestStep) else None
    if name and not os.environ.get(name):
        yield f"the environment variable {name} for the API key is not set on this machine"


def _read_pass(reader: Reader, limits: dict[str, object]) -> ReadPass:
    kind = type(reader)
    identity = {
        "records": RECORDS_VERSION,
        "kind": f"{kind.__module__}:{kind.__qualname__}",
        "version": kind.version,
        "settings": reader.model_dump(mode="json", exclude={"exclude"}),  # changes no part
        "limits": limits,
    }
    return ReadPass(0, reader.name, fingerprint(identity), reader)


StepPass = RowsPass | MeasurePass | DecidePass | CorpusPass


def _step_passes(loaded: Loaded, limits: dict[str, object]) -> list[StepPass]:
    """Return the passes of the steps. `limits` are the limits on media, which are part of the
    fingerprints of the passes.

    Consecutive cheap row and reshape steps run in one pass. A corpus step has its own pass. A
    costly step has two passes: the first measures, and the second decides which rows are dropped.
    So if a bound (a setting that only decides) is changed, only the second pass is repeated.
    """
    passes: list[StepPass] = []
    before: list[PlannedStep] = []
    chain, seed = _FIRST, loaded.recipe.seed
    for group in _groups(loaded.steps):
        step, number = group[0], len(before) + 1
        if step.costs:
            measures = step.identity(loaded.base, seed, bounds=False)
            mark = fingerprint([chain, "measures", measures, limits])
            passes.append(MeasurePass(number, step.name, mark, step, seed))
        for one in group:  # one by one, so the result does not depend on the grouping
            chain = fingerprint([chain, one.identity(loaded.base, seed), limits])
        given = (number, step.name, chain)
        if step.costs:
            passes.append(DecidePass(*given, step, list(before)))
        elif step.shape == "corpus":
            passes.append(CorpusPass(*given, step, list(before), seed))
        else:
            passes.append(RowsPass(*given, FusedSteps(group, list(before)), seed))
        before += group
    return passes


def _groups(steps: list[PlannedStep]) -> list[list[PlannedStep]]:
    """Group the steps that run in one pass: consecutive cheap steps that need the same
    resources."""
    groups: list[list[PlannedStep]] = []
    for step in steps:
        last = groups[-1][-1] if groups else None
        ends = last is None or last.step.stores_bytes or _alone(last)
        if ends or last is None or _alone(step) or _differ(step, last):
            groups.append([step])
        else:
            groups[-1].append(step)
    return groups


def _alone(step: PlannedStep) -> bool:
    return step.costs or step.shape == "corpus"


def _differ(a: PlannedStep, b: PlannedStep) -> bool:
    return a.step.resources() != b.step.resources()


def _shard_passes(
    loaded: Loaded, limits: dict[str, object], chain: str
) -> list[OrderPass | ShardsPass]:
    """Return the pass that puts all rows in order, then one pass for each shard format. `limits`
    are the limits on media, and `chain` is the fingerprint of the passes before; both are part of
    the new fingerprints."""
    recipe, steps, settings = loaded.recipe, loaded.steps, loaded.recipe.shards
    order = fingerprint([chain, recipe.seed if settings.shuffle else None])
    number = len(steps) + 1
    passes: list[OrderPass | ShardsPass] = [
        OrderPass(number, "order", order, steps, settings, recipe.seed)
    ]
    described = settings.model_dump(mode="json", exclude={"formats"})
    for name in settings.formats:
        mark = fingerprint([order, name, described, limits])
        passes.append(ShardsPass(number + 1, name, mark, name, settings))
    return passes
