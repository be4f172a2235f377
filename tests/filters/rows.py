"""Records for the tests of the filters, and steps run on them as the engine runs them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.engine import steps
from curate.engine.media_options import MediaOptions
from curate.engine.opened import opened
from curate.engine.outcomes import StepResult, dropped_schema
from curate.engine.planned import PlannedStep, part_schema
from manifests import record
from manifests.media import Media, Reference
from manifests.step import Columns, Context, ReshapeStep, RowStep, Step

NO_MEDIA = Media()
NAME = "step"
"""The name of the step in the run."""


def text_records(*texts: str | None) -> pa.Table:
    """Caption records: an image, and a text unless it is None."""
    keys = [str(n) for n in range(len(texts))]
    names = pa.array(keys, pa.string())
    return record.captions(
        "made", keys, names, pa.array(texts, pa.string()), record.ImageColumns(uri=names)
    )


def media_records(*media: list[dict[str, Any]]) -> pa.Table:
    """Records of media alone: for each record the fields of its media that are known."""
    rows = [{"key": str(n), "content": [], "media": m} for n, m in enumerate(media)]
    return record.from_rows(rows, "made", "interleaved")


def image_records(*sizes: list[tuple[int | None, int | None]]) -> pa.Table:
    """Records of images, given as widths and heights."""
    return media_records(
        *([{"kind": "image", "uri": "x", "width": w, "height": h} for w, h in s] for s in sizes)
    )


def answers(
    step: RowStep, batch: pa.Table, media: Media = NO_MEDIA, seed: int = 0
) -> dict[str, list[Any]]:
    """What the engine takes from a row step: its columns, drop reasons and error messages.

    With the names `drop` and `error` for the last two: `{"count": [2, 1], "drop": [None, "short"],
    "error": [None, None]}`. The step is given the columns that it reads and no others, and it
    measures with its bounds at their defaults. `seed` is `context.seed`.
    """
    columns, errors = measured(step, batch, media, seed)
    drop = steps.decide(PlannedStep(NAME, step), columns, batch.num_rows)
    lists = {name.removeprefix(f"{NAME}."): values.to_pylist() for name, values in columns.items()}
    return {**lists, "drop": drop.to_pylist(), "error": errors["message"].to_pylist()}


def error_kinds(
    step: RowStep, batch: pa.Table, media: Media = NO_MEDIA, seed: int = 0
) -> list[str | None]:
    """For each row the class of the error, such as "MediaError", or None."""
    _, errors = measured(step, batch, media, seed)
    kinds: list[str | None] = errors["kind"].to_pylist()
    return kinds


def measured(
    step: RowStep, batch: pa.Table, media: Media = NO_MEDIA, seed: int = 0
) -> tuple[Columns, pa.Table]:
    """The checked columns of a row step under the names of the run, and its errors by row."""
    with step_context(step, media, seed) as context:
        return steps.measure(PlannedStep(NAME, step), batch, context)


@contextlib.contextmanager
def step_context(step: Step, media: Media = NO_MEDIA, seed: int = 0) -> Iterator[Context]:
    """The context of a step whose model is loaded; the model is closed at the end."""
    options = MediaOptions(media.resolve(""), "", media.limits)
    with opened([PlannedStep(NAME, step)], options, 0) as loaded:
        yield Context(media, no_blobs, seed, loaded.models[NAME])


def no_blobs(data: bytes | memoryview) -> Reference:
    raise AssertionError("the step was not expected to store bytes")


def reshaped(
    step: ReshapeStep, batch: pa.Table, media: Media = NO_MEDIA, seed: int = 0
) -> StepResult:
    """What the engine takes from a reshape step: the rows that stay, dropped and failed ones."""
    planned = PlannedStep(NAME, step)
    with step_context(step, media, seed) as context:
        return steps.run_step(planned, batch, context, dropped_schema(part_schema([planned])))


def real_captions(real_data: Path) -> list[str]:
    """Alternative texts and captions of textbook figures."""
    files = sorted((real_data / "captions" / "openstax").glob("*.jsonl"))
    rows = [json.loads(line) for f in files for line in f.read_bytes().splitlines()]
    return [row[field] for row in rows for field in ("alt", "caption")]


def naughty_strings(real_data: Path) -> list[str]:
    strings: list[str] = json.loads((real_data / "hostile" / "blns" / "blns.json").read_text())
    return strings
