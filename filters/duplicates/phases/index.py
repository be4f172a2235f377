"""What a run remembers of its records, and a later run compares its own with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from filters.duplicates.contract import Identity, Kind
from filters.duplicates.phases.keys import Source
from filters.duplicates.phases.rows import Rows
from manifests import storage
from manifests.errors import RecipeError
from manifests.run import manifest
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

ENDING = ".index.arrow"


@dataclass(frozen=True)
class WriteIndex:
    """Write what is to be remembered of the records of a part that stay; `gone` has a batch for
    every part, of the rows that do not."""

    rows: Rows
    kinds: tuple[Kind, ...]
    equal: tuple[Identity, ...]
    gone: str
    folder: str

    def __call__(self, source: Source) -> FileEntry:
        compared: list[Kind | Identity] = [*self.kinds, *self.equal]
        columns = [name for one in compared for name in one.columns]
        table = self.rows(source, tuple(dict.fromkeys(("id", *columns))))
        stays = np.ones(table.num_rows, bool)
        stays[np.asarray(parts.open_part(self.gone).get_batch(source.number)["unit"])] = False
        table = table.filter(pa.array(stays)).combine_chunks()
        kept = {"id": table["id"]}
        for one in compared:
            kept |= one.remembered(table)
        said = pa.table(kept)
        uri = storage.join(self.folder, source.name + ENDING)
        return parts.write(uri, said.schema, [said])


class Remembered(NamedTuple):
    """The files of earlier runs' indexes, and how many records they hold."""

    files: tuple[str, ...]
    rows: int


def remembered(runs: tuple[str, ...], kind: str, settings: dict[str, Any]) -> Remembered:
    """Find, in each run's folder, the index of a step of this kind with these settings."""
    files: list[str] = []
    rows = 0
    for run in runs:
        for folder, entry in _index_of(run, kind, settings):
            files.append(storage.join(folder, entry.name))
            rows += entry.rows
    return Remembered(tuple(files), rows)


def corpus_passes(run: str) -> list[str]:
    """The folders of a run's corpus passes."""
    passes = manifest.load_run(run).passes
    return [storage.join(run, entry.folder) for entry in passes if entry.kind == "corpus"]


def _index_of(run: str, kind: str, settings: dict[str, Any]) -> list[tuple[str, FileEntry]]:
    others = []
    for folder in corpus_passes(run):
        known = manifest.load_pass(folder)
        step = known.steps[0]
        if step["kind"] != kind or not step["parameters"].get("index"):
            continue
        said = {name: step["parameters"][name] for name in settings}
        if said == settings:
            return [(folder, file) for c in known.parts if (file := c.file(ENDING))]
        others.append({k: v for k, v in said.items() if v != settings[k]})
    raise RecipeError(
        "this run has no index to compare with"
        + (f": its settings are others, {others[0]}." if others else "."),
        run,
        "An index is written by a step of the same settings that says `index: true`.",
    )
