"""Finds a record of a finished run by its id or origin, the start of its id or the end of its
origin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.inspect.unread_inputs import outcome_of_input
from manifests import storage
from manifests.errors import InputError
from manifests.run import manifest
from manifests.run.file_names import DROPPED, PART, QUARANTINE
from manifests.run.manifest import Commit, PassManifest, RunManifest
from manifests.storage import parts
from manifests.storage.digest import stated_file

Identity = dict[str, Any]
"""A step as it is described in the manifest of its pass."""

LISTED = 10
"""How many matches are listed if there are several (our choice)."""


class StoredRow(NamedTuple):
    """The row of a record in a file of a pass: a table of one row, and the row's index in the file.

    `ending` is the ending of the file's name. It shows whether the rows of the file were kept
    (`PART`), dropped or quarantined.
    """

    table: pa.Table
    number: int
    ending: str

    @property
    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = self.table.to_pylist()[0]
        return found


class FoundRecord(NamedTuple):
    """A record that matches the user's request, as it is in the pass that made it. `at` is the
    index of this pass in the run, and `part` the name of the part."""

    at: int
    part: str
    row: StoredRow
    id: str
    origin: str
    source: str


def find_record(run: RunManifest, out: str, wanted: str) -> list[FoundRecord]:
    """Find the record that a user asks for. `wanted` is its id or origin, the start of its id, or
    the end of its origin: `000123.jpg` for `web/00000.tar#000123.jpg`. An exact match is preferred
    to any other match. If no record has such an id or origin, `wanted` is taken as the path of an
    image, or as the end of this path: the records that show the image match. If there are no such
    records, the path is searched for in the messages of the inputs that readers quarantined.

    Returns the record, followed by quarantined inputs of the same id and origin, such as a key that
    occurs twice in a tar. If a record that a reader made and records that were made from it have
    the same origin, the reader's record is returned. Raises InputError if no record matches, or if
    several records match.
    """
    found = (
        _found(run, out, Wanted(wanted))
        or _found(run, out, Wanted(wanted, anywhere=True))
        or _of_image(run, out, wanted)
        or _of_message(run, out, wanted)
    )
    if not found:
        raise InputError(
            f"no record has the id or origin '{wanted}', an id that begins with this text, or an "
            "origin or image file that ends with this text; and no message of a quarantined input "
            "names such a path.", out,
            outcome_of_input(run, out, wanted)
            or "`curate show` prints records with their ids, and `curate explain --quarantine` the "
            "inputs that could not be read.",
        )  # fmt: skip
    records = [m for m in found if m.row.ending == PART]
    if len({(m.id, m.origin) for m in found}) > 1 or len(records) > 1:
        raise ambiguous(found, out, wanted)
    return sorted(found, key=lambda match: match.row.ending != PART)


class Wanted(NamedTuple):
    """The text by which a user asks for a record: an id, the start of an id, an origin, or the end
    of an origin.

    If `anywhere` is false, the end of an origin must follow a `/` or a `#`.
    """

    text: str
    anywhere: bool = False

    def mask(self, table: pa.Table) -> pa.ChunkedArray:
        """Return a mask of the rows of a table whose column `id` or `origin` matches the wanted
        text."""
        ends = [self.text] if self.anywhere else [f"/{self.text}", f"#{self.text}"]
        named = pc.or_(pc.starts_with(table["id"], self.text), pc.equal(table["origin"], self.text))
        for end in ends:
            named = pc.or_(named, pc.ends_with(table["origin"], end))
        return named


def _found(run: RunManifest, out: str, wanted: Wanted) -> list[FoundRecord]:
    """Return the records whose id or origin is exactly the wanted text. If there are none, return
    the records whose id begins with the text, or whose origin ends with it."""
    read = [m for at, entry in enumerate(run.passes) if entry.kind == "read"
            for m in _in_pass(out, run, at, wanted)]  # fmt: skip
    text = wanted.text
    if exact := [m for m in read if text in (m.id, m.origin)]:
        return exact
    made = _made_from_others(run, out, wanted, {m.id for m in read})
    origins = {m.origin for m in read}
    others = [m for m in made if m.id.startswith(text) or m.origin not in origins]
    exact = [m for m in made if m.id == text] or [m for m in made if m.origin == text]
    return exact or [*read, *others]


def _of_image(run: RunManifest, out: str, wanted: str) -> list[FoundRecord]:
    """Return the records that readers made with the image or video file `wanted`, which is a uri or
    the end of one. Media inside another file, such as a tar, are not compared."""

    def mask(table: pa.Table) -> np.ndarray:
        media = pc.list_flatten(table["media"])
        uri = pc.struct_field(media, "uri")
        named = pc.or_(pc.equal(uri, wanted), pc.ends_with(uri, f"/{wanted}"))
        named = pc.and_(named, pc.is_null(pc.struct_field(media, "offset")))
        found = np.zeros(table.num_rows, bool)
        found[np.asarray(pc.list_parent_indices(table["media"]).filter(named))] = True
        return found

    return _read_rows(run, out, PART, mask, ("media",))


def _of_message(run: RunManifest, out: str, wanted: str) -> list[FoundRecord]:
    """Return the inputs that readers quarantined with a message that names a path, such as the path
    of a missing image, and this path is `wanted` or ends with `wanted`. If `wanted` has neither a
    dot nor a slash, it is not a path, and the result is empty."""
    if "." not in wanted and "/" not in wanted:
        return []
    pattern = rf"(?:^|[/\s'\"`]){re.escape(wanted)}(?:$|[\s:,;'\"`])"

    def mask(table: pa.Table) -> pa.ChunkedArray:
        return pc.match_substring_regex(table["message"], pattern)

    return _read_rows(run, out, QUARANTINE, mask, ("message",))


def _read_rows(
    run: RunManifest, out: str, ending: str, mask: Any, columns: tuple[str, ...]
) -> list[FoundRecord]:
    """Return the rows that match, from the files that readers wrote and whose names have the given
    ending. `mask` gets the given columns of a file as a table, and returns which rows match."""
    return [
        FoundRecord(at, commit.part, row, *_who(row))
        for at, entry in enumerate(run.passes) if entry.kind == "read"
        for commit in pass_manifest(run, out, at).parts
        for row in _rows(storage.join(out, entry.folder), commit, ending, mask, columns)
    ]  # fmt: skip


def ambiguous(found: list[FoundRecord], out: str, wanted: str) -> InputError:
    """Return the error for a request that several records match. Its message explains how to
    distinguish them."""
    ids, origins = ({m.id for m in found}, {m.origin for m in found})
    names, fix = {f"{m.id} ({m.origin})" for m in found}, "Write more of the id or of the origin."
    if len(ids) > 1 and len(origins) == 1:
        names, fix = ids, "They have the same origin. Name one by its id."
    elif len(ids) == 1 and len(origins) > 1:
        names, fix = origins, "They have the same id. Name one by its origin."
    elif len(ids) == 1:
        names = ids
        fix = (
            "They have the same id and the same origin, so a name cannot distinguish them. To "
            f"list those that were written: curate show {out} {found[0].id}. To list those "
            f"that were dropped: curate show {out} {found[0].id} --dropped."
        )
    shown = sorted(names)[:LISTED]
    more = [f"and {len(names) - LISTED} more"] if len(names) > LISTED else []
    number = len(names) if len(names) > 1 else len(found)  # one record may fail several times
    return InputError(f"{number} records match '{wanted}': {', '.join(shown + more)}", out, fix)


def _made_from_others(
    run: RunManifest, out: str, wanted: Wanted, known: set[str]
) -> list[FoundRecord]:
    """Return the matching records that reshape steps made from other records, as they are in the
    pass that made them.

    Records with an id in `known` were read from a file, and are left out.
    """
    found: list[FoundRecord] = []
    for at, entry in enumerate(run.passes):
        if entry.kind == "rows" and has_reshape(pass_manifest(run, out, at)):
            seen = known | {m.id for m in found}
            found += [m for m in _in_pass(out, run, at, wanted) if m.id not in seen]
    return found


def has_reshape(known: PassManifest) -> bool:
    return any(map(is_reshape, known.steps))


def is_reshape(step: Identity) -> bool:
    return step.get("shape") == "reshape"


def pass_manifest(run: RunManifest, out: str, at: int) -> PassManifest:
    return manifest.load_pass_of(out, run.passes[at])


def _in_pass(out: str, run: RunManifest, at: int, wanted: Wanted) -> Iterator[FoundRecord]:
    folder = storage.join(out, run.passes[at].folder)
    for commit in pass_manifest(run, out, at).parts:
        for ending in (PART, DROPPED, QUARANTINE):
            for row in _rows(folder, commit, ending, wanted.mask):
                yield FoundRecord(at, commit.part, row, *_who(row))


def _who(row: StoredRow) -> list[str]:
    return [row.values[name] for name in ("id", "origin", "source")]


def rows_of(folder: str, commit: Commit, ending: str, found: FoundRecord) -> list[StoredRow]:
    """Return the row of the record `found` as a list with one row, or an empty list if the file
    does not have the record. The file is the one in the list of `commit` whose name has the ending
    `ending`."""

    def matches(who: pa.Table) -> pa.ChunkedArray:
        return pc.and_(pc.equal(who["id"], found.id), pc.equal(who["origin"], found.origin))

    return _rows(folder, commit, ending, matches)


def _rows(
    folder: str, commit: Commit, ending: str, mask: Any, columns: tuple[str, ...] = ("id", "origin")
) -> list[StoredRow]:
    entry = commit.file(ending)
    if entry is None:
        return []
    uri = stated_file(folder, entry)
    numbers = np.flatnonzero(np.asarray(mask(parts.read_checked(uri, columns))))
    if not len(numbers):
        return []
    table = parts.read_checked(uri)
    return [StoredRow(table.slice(int(n), 1).combine_chunks(), int(n), ending) for n in numbers]
