"""Finds what differs between two runs: recipes, inputs, numbers of records, single records,
shards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curate.inspect.pass_files import files_of
from manifests import storage
from manifests.run import manifest
from manifests.run.file_names import DROPPED, PART, QUARANTINE
from manifests.run.manifest import PassEntry, PassManifest, RunManifest
from manifests.run.verify import damaged_files
from manifests.storage import parts

_EXAMPLES = 5
"""How many records that differ are listed (our choice)."""
_IN_RECIPE = ("name", "parameters", "only", "seed")
"""Fields of a step, in the manifest of a pass, that are not compared: they repeat the recipe, which
is compared itself."""


class Difference(NamedTuple):
    """A value that differs between two runs. `what` names the value, `here` is the value in the
    first run, and `there` the value in the second run."""

    what: str
    here: Any
    there: Any


def differences(out: str, other: str) -> list[Difference]:
    """Return all differences, causes first: recipe, versions, steps, inputs, then the ledger
    (numbers of records), records, shards and passes.

    The list is empty if the manifests of the two runs state the same digests, and all files have
    these digests. Every file is read to check this. If files differ from their manifests, these
    differences alone are returned. Of the passes, only the first pass that differs is compared.
    """
    a, b = manifest.load_run(out), manifest.load_run(other)
    if damaged := [*_damaged(a, out), *(_damaged(b, other) if other != out else ())]:
        return damaged
    if a.digest == b.digest:
        return []
    found = [
        *_settings("recipe", a.recipe, b.recipe),
        *_settings("value of the variable", a.variables.digests, b.variables.digests),
        *_settings("version of", _versions(a), _versions(b)),
        *_settings("step", _steps(a, out), _steps(b, other)),
        *_inputs(a, out, b, other),
        *_ledgers(a, b),
        *_records(a, out, b, other),
        *_settings("shards", _digests(a), _digests(b)),
        *_first_pass(a, out, b, other),
    ]
    found = found or list(_settings("fingerprint of pass", _fingerprints(a), _fingerprints(b)))
    return found or [Difference("digest of the run", a.digest, b.digest)]


def _damaged(run: RunManifest, out: str) -> Iterator[Difference]:
    """Yield a difference for each file of a run that is not as the manifests of the run state it,
    such as a missing file."""
    for fault in damaged_files(run, out):
        yield Difference(fault.place, fault.fault, "a file as the manifests of its run state it")


def _settings(what: str, here: Any, there: Any) -> Iterator[Difference]:
    if isinstance(here, dict) and isinstance(there, dict):
        for key in sorted(here.keys() | there.keys()):
            yield from _settings(f"{what} {key}", here.get(key), there.get(key))
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for number, (one, two) in enumerate(zip(here, there, strict=True)):
            yield from _settings(f"{what}[{number}]", one, two)
    elif here != there:
        yield Difference(what, here, there)


def _versions(run: RunManifest) -> dict[str, str]:
    return {k: run.environment[k] for k in ("curate", "pyarrow")}


def _digests(run: RunManifest) -> dict[str, dict[str, str]]:
    return {
        name: {file.name: file.digest for file in written.files}
        for name, written in run.shards.items()
    }


def _inputs(a: RunManifest, out: str, b: RunManifest, other: str) -> Iterator[Difference]:
    """Yield a difference for each input file from which runs `a` and `b` read different records."""
    here, there = _reads(a, out), _reads(b, other)
    for origin in sorted(here.keys() | there.keys()):
        if here.get(origin) != there.get(origin):
            yield Difference(f"input {origin}", _described(here, origin), _described(there, origin))


def _reads(run: RunManifest, out: str) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for entry in _passes(run, "read"):
        for commit in manifest.load_pass_of(out, entry).parts:
            found.setdefault(commit.origin, []).append((commit.rows, commit.digest))
    return found


def _described(reads: dict[str, list[tuple[int, str]]], origin: str) -> str | None:
    if origin not in reads:
        return None
    rows = sum(n for n, _ in reads[origin])
    return f"{rows} records, {' '.join(digest for _, digest in reads[origin])}"


def _passes(run: RunManifest, *kinds: str) -> list[PassEntry]:
    return [entry for entry in run.passes if entry.kind in kinds]


def _ledgers(a: RunManifest, b: RunManifest) -> Iterator[Difference]:
    here = {account.step: account.model_dump(exclude={"step"}) for account in a.ledger}
    there = {account.step: account.model_dump(exclude={"step"}) for account in b.ledger}
    yield from _settings("ledger", here, there)


def _records(a: RunManifest, out: str, b: RunManifest, other: str) -> Iterator[Difference]:
    """Yield how many records only run `a` wrote, and how many only run `b` wrote, as one
    difference. Then yield a difference for some of these records, with the reason why the other run
    did not write the record."""
    here, there = _written(a, out), _written(b, other)
    only_here = here.filter(pc.invert(pc.is_in(here, there)))
    only_there = there.filter(pc.invert(pc.is_in(there, here)))
    if len(only_here) or len(only_there):
        yield Difference(
            "number of records that only one run wrote", len(only_here), len(only_there)
        )
    for record_id in only_here.slice(0, _EXAMPLES).to_pylist():
        yield Difference(f"record {record_id}", "written", _removed_by(b, other, record_id))
    for record_id in only_there.slice(0, _EXAMPLES).to_pylist():
        yield Difference(f"record {record_id}", _removed_by(a, out, record_id), "written")


def _written(run: RunManifest, out: str) -> pa.Array:
    """Return the ids of all records that the run wrote into shards. The ids are read from the files
    of the pass that sorts the records for the shards."""
    (order,) = _passes(run, "order")
    ids = [parts.read_checked(uri, ("id",))["id"] for uri in files_of(out, order, PART)]
    chunks = [chunk for column in ids for chunk in column.chunks]
    return pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())


def _steps(run: RunManifest, out: str) -> dict[str, dict[str, Any]]:
    """Return, by step name, the values that determine a step's results and are not in the recipe:
    its version, files and models."""
    known = [manifest.load_pass_of(out, entry) for entry in run.passes]
    return {
        step["name"]: {key: value for key, value in step.items() if key not in _IN_RECIPE}
        for one in known
        for step in one.steps
    }


def _fingerprints(run: RunManifest) -> dict[str, str]:
    return {f"{entry.kind} {entry.name}": entry.fingerprint for entry in run.passes}


def _first_pass(a: RunManifest, out: str, b: RunManifest, other: str) -> Iterator[Difference]:
    """Yield a difference for each file that differs in the first pass whose results differ between
    the runs. In this pass, only the first part that differs is compared.

    Two runs may differ in these files alone, because the files of a pass have measures that may be
    left out of the shards.
    """
    for one, two in zip(a.passes, b.passes, strict=False):
        if one.digest == two.digest:
            continue
        here = manifest.load_pass_of(out, one)
        there = manifest.load_pass_of(other, two)
        name = f"pass {storage.base_name(one.folder).removesuffix(f'-{one.fingerprint}')}"
        if found := list(_first_part(name, here, there)):
            yield from found
            return


def _first_part(name: str, here: PassManifest, there: PassManifest) -> Iterator[Difference]:
    ours, theirs = _files(here), _files(there)
    for part in sorted(ours.keys() | theirs.keys()):
        if ours.get(part) != theirs.get(part):
            yield from _settings(f"{name} file", ours.get(part, {}), theirs.get(part, {}))
            return


def _files(known: PassManifest) -> dict[str, dict[str, str]]:
    """Return the digests of the files that a pass wrote: a dict from the name of each part to the
    digests of the part's files, by file name."""
    return {commit.part: {f.name: f.digest for f in commit.files} for commit in known.parts}


def _removed_by(run: RunManifest, out: str, record_id: str) -> str:
    """Describe which step removed a record, and why."""
    for entry in run.passes:
        for ending, why in ((DROPPED, "reason"), (QUARANTINE, "message")):
            for uri in files_of(out, entry, ending):
                removed = parts.read_checked(uri, ("id", "step", why))
                found = removed.filter(pc.equal(removed["id"], record_id)).to_pylist()
                if found:
                    return f"{found[0]['step']}: {found[0][why]}"
    return "absent"
