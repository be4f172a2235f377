"""`curate plan`: list the passes over the data that a run of the recipe makes, which of the passes
are already done, and what the request steps will ask and cost."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from curate import recipe
from curate.commands.forecasts import as_json, text
from curate.commands.tables import table
from curate.engine import forecast
from curate.engine import plan as planning
from curate.engine.files_counted import listed
from curate.engine.forecast import Forecast
from curate.engine.media_options import MediaOptions
from curate.engine.passes import MeasurePass, Pass, ReadPass
from curate.engine.source_check import checked_files
from curate.ingest.reader import Reader
from curate.ingest.source_files import SourceFiles, notes_on
from curate.recipe import Loaded
from manifests.errors import CurateError, RecipeError
from manifests.run.counted import Counted
from manifests.run.manifest import PassManifest
from manifests.step import RequestStep
from manifests.visible import on_one_line

Row = tuple[int, str, str, str, str, int | None]


def main(options: argparse.Namespace) -> int:
    loaded = recipe.load(options.recipe, options.set)
    passes = planning.plan(loaded)
    made = [None if options.out is None else forecast.done(options.out, one) for one in passes]
    forecasts = _forecasts(loaded, passes, options)
    rows = [_row(*one) for one in zip(itertools.count(1), passes, made)]
    read = {p.name for p, m in zip(passes, made, strict=True) if m and isinstance(p, ReadPass)}
    media = MediaOptions(loaded.base, "", loaded.recipe.media)
    found = [_files(reader, media, reader.name in read) for reader in loaded.readers]
    files = [_counts(reader, one) for reader, one in zip(loaded.readers, found, strict=True)]
    if options.json:
        print(json.dumps(_as_json(rows, files, passes, forecasts), indent=1))
        return 0
    print(table(("pass", "kind", "does", "fingerprint", "state", "parts"), rows))
    print()
    width = max(len(reader.name) for reader in loaded.readers)
    for reader, counts in zip(loaded.readers, files, strict=True):
        print(f"{reader.name:<{width}}  {on_one_line(str(counts))}")
    notes = [*_notes(loaded.readers, found), *planning.notes(loaded)]
    print("".join(f"\n{on_one_line(note)}" for note in notes), end="")
    print(
        "\nA run checks each part of the passes that are done, and makes only changed parts again."
    )
    for step in loaded.steps:
        if isinstance(step.step, RequestStep) and options.out is not None:
            known = forecasts[step.name]
            print(f"\n{text(step.name, step.step, known, options.recipe, options.out)}")
    return 0


def _row(number: int, planned: Pass[Any], made: PassManifest | None) -> Row:
    parts = len(made.parts) if made else None
    return number, planned.kind, planned.title, planned.fingerprint, _state(made), parts


def _as_json(
    rows: Sequence[Row],
    files: Sequence[Counted | str],
    passes: Sequence[Pass[Any]],
    forecasts: dict[str, Forecast | None],
) -> list[dict[str, Any]]:
    keys = ("number", "kind", "does", "fingerprint", "state", "parts")
    shown = [one if isinstance(one, str) else one.model_dump(mode="json") for one in files]
    return [
        {**dict(zip(keys, row, strict=True)), "files": one, **_forecast_of(planned, forecasts)}
        for row, one, planned in zip_longest(rows, shown, passes)
    ]


def _forecasts(
    loaded: Loaded, passes: list[Pass[Any]], options: argparse.Namespace
) -> dict[str, Forecast | None]:
    """Return the forecast of each request step, by the name of the step; an empty dict if no folder
    of a run is given."""
    if options.out is not None:
        return forecast.forecasts(loaded, passes, options.out, options.sample)
    if options.sample:
        fault = "a sample needs the records in the folder of a run"
        raise RecipeError(fault, "the option '--sample'", "Give the folder with -o.")
    return {}


def _forecast_of(
    planned: Pass[Any], forecasts: dict[str, Forecast | None]
) -> dict[str, dict[str, Any] | None]:
    """Return the forecast of the step of a pass, under the key `forecast`, as a part of the pass's
    JSON; an empty dict if there is no forecast for the pass."""
    name = planned.name
    if not isinstance(planned, MeasurePass) or name not in forecasts:
        return {}
    assert isinstance(planned.step.step, RequestStep)
    found = forecasts[name]
    return {"forecast": None if found is None else as_json(planned.step.step, found)}


def _files(reader: Reader, media: MediaOptions, is_read: bool) -> SourceFiles | str:
    """Return the files that a run would read from a source, and the files that it would skip. If a
    run would stop at the source, return the error text instead of raising an error, so that the
    plan can still be printed. If `is_read` is true, the source was read earlier, and the content of
    its files is not checked again."""
    try:
        return reader.find_files(media.base) if is_read else checked_files(reader, media)
    except CurateError as error:
        return str(error)


def _counts(reader: Reader, found: SourceFiles | str) -> Counted | str:
    return found if isinstance(found, str) else listed(reader.name, found)


def _notes(readers: Sequence[Reader], found: Sequence[SourceFiles | str]) -> Iterator[str]:
    """Yield notes for the user about the files, for example that a glob of `exclude` matches no
    file of a source."""
    for reader, files in zip(readers, found, strict=True):
        yield from () if isinstance(files, str) else notes_on(reader.name, files)


def _state(done: PassManifest | None) -> str:
    return f"done: {done.rows:,} rows" if done else "to run"
