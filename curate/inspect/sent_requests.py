"""Shows what a request step sends about a record, and the replies in the step's journal. The run
must be finished, or stopped after the passes before the step. Nothing is sent."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn

import pyarrow as pa

from curate import recipe
from curate.engine import plan as planning
from curate.engine.planned import PlannedStep
from curate.engine.step_errors import naming
from curate.inspect.explain import row_before
from curate.inspect.find_record import FoundRecord, find_record
from curate.recipe import Loaded
from manifests import storage
from manifests.errors import InputError, RecipeError
from manifests.media import Limits, Media, Reference
from manifests.media.header import probe
from manifests.run import manifest
from manifests.run.file_names import STEPS, UNFINISHED
from manifests.run.manifest import RunManifest
from manifests.step import Context, Reply, Request, RequestStep, Worker
from manifests.step.spelling import nearest
from manifests.visible import HIDDEN
from recaption.client import entries, wire
from recaption.client.answers import reply_of
from recaption.client.client import MAX_REPLIES
from recaption.client.images import SentImage, sent_image
from recaption.client.prepared import Prepared, prepared

Shown = dict[str, Any]


class _Asked(NamedTuple):
    """A record, and a request step of its run. `settings` are the step's settings as the recipe
    writes them, with the names of environment variables instead of their values. `row` is the
    record as the step gets it."""

    found: FoundRecord
    planned: PlannedStep
    settings: dict[str, Any]
    row: pa.Table

    @property
    def step(self) -> RequestStep:
        step = self.planned.without_bounds()
        assert isinstance(step, RequestStep)
        return step


def sent_requests(out: str, wanted: str, step: str | None, base: str | None) -> Shown:
    """Return the requests that a step sends about the record `wanted` of the run `out`, and their
    replies. If the journal has a bad reply to a request, the repeated request is added.

    `step` is the name of the request step; it may be None if the run has only one request step.
    Relative paths of the recipe start from the folder `base`. If `base` is None, they start from
    the same folder as in the run. Raises RecipeError or InputError if the step does not ask about
    the record.
    """
    run = _run(out)
    loaded = recipe.of_manifest(run, out, base or run.environment["base"])
    planned = _request_step(loaded, step, out)
    _check_done(run, loaded, planned.name, out)
    [found, *_] = find_record(run, out, wanted)
    row = row_before(run, out, found, planned.name)
    if row is None:
        fix = f"See what happened to it: curate explain {out} {found.id}"
        raise InputError(f"the record '{wanted}' did not reach the step {planned.name}", out, fix)
    identity = loaded.identity(planned)
    asked = _Asked(found, planned, identity["parameters"], row)
    limits = Limits.model_validate(run.recipe.get("media", {}))
    media = Media(loaded.base, storage.join(out, STEPS), limits)
    try:
        requests = _requests(asked, media, loaded)
        folder = storage.resolve(loaded.base, asked.step.journal)
        shown = [list(_replies(asked, request, media, folder)) for request in requests]
    finally:
        media.close()
    about = {"id": found.id, "origin": found.origin, "step": planned.name}
    is_changed = _files_then(run, out, planned.name) not in (None, identity["files"])
    return {**about, "is_changed": is_changed, "requests": _without_key(shown, asked.step)}


def _run(out: str) -> RunManifest:
    """Return the manifest of a finished run or, if the run has stopped, of its passes that are
    done."""
    stopped = storage.join(out, UNFINISHED)
    return manifest.load_run(stopped if storage.exists(stopped) else out)


def _check_done(run: RunManifest, loaded: Loaded, name: str, out: str) -> None:
    """Raise InputError if passes before the step are not done."""
    passes = planning.plan(loaded)
    before = next(n for n, one in enumerate(passes) if any(s.name == name for s in one.steps))
    if len(run.passes) < before:
        fault = f"the passes before the step {name} are not done"
        raise InputError(fault, out, f"First run: curate run RECIPE -o {out} --until {name}")


def _without_key(shown: Any, step: RequestStep) -> Any:
    key = os.environ.get(step.api_key_variable or "", "").strip()
    if not key:
        return shown
    return json.loads(json.dumps(shown).replace(json.dumps(key)[1:-1], HIDDEN))


def _request_step(loaded: Loaded, name: str | None, out: str) -> PlannedStep:
    steps = {one.name: one for one in loaded.steps if isinstance(one.step, RequestStep)}
    if name is None and len(steps) == 1:
        return next(iter(steps.values()))
    if name is None:
        fix = (
            f"Choose one with --step: {', '.join(steps)}."
            if steps
            else "Use a recipe that has one."
        )
        raise RecipeError(f"the run has {len(steps)} steps that ask a model", out, fix)
    if name not in steps:
        fault = f"the run has no step named '{name}' that asks a model"
        raise RecipeError(fault, out, nearest(name, list(steps)))
    return steps[name]


def _files_then(run: RunManifest, out: str, step: str) -> list[str] | None:
    """Return the digests of the files, such as its prompt, that the step loaded in the run; None if
    the run has not come to the step."""
    found = (one for one in run.passes if one.kind == "measure" and one.name == step)
    entry = next(found, None)
    if entry is None:
        return None
    [identity] = manifest.load_pass_of(out, entry).steps
    return list(identity["files"])


def _requests(asked: _Asked, media: Media, loaded: Loaded) -> tuple[Request, ...]:
    planned, step = asked.planned, asked.step
    mask = planned.row_mask(asked.row)
    if mask is not None and not mask.all():
        fault = f"the setting `only` of the step {planned.name} does not select this record"
        raise InputError(fault, asked.found.origin, "Name another record.")
    with naming(planned, "load"):
        model = step.load(Worker(loaded.base))
    seed = planned.seed(loaded.recipe.seed)
    context = Context(media, functools.partial(_refuse, planned.name), seed, model)
    with naming(planned, "requests"):
        [found] = step.requests(planned.given(asked.row), context)
    if isinstance(found, Request):
        return (found,)
    return tuple(one for one in found or () if one is not None)


def _refuse(name: str, data: bytes | memoryview) -> NoReturn:
    raise InputError("the step stores bytes, so its requests cannot be shown", f"step {name}")


def _replies(asked: _Asked, request: Request, media: Media, folder: str) -> Iterator[Shown]:
    step = asked.step
    for bad_before in range(MAX_REPLIES):
        ready = prepared(step, request, bad_before, media)
        entry = _entry(folder, ready.key)
        reply = None if entry is None else reply_of(entry["body"])
        if reply is not None:
            reply = reply._replace(number=bad_before + 1, fault=step.fault(request, reply))
        yield {
            "prompt": request.prompt,
            "number": bad_before + 1,
            "key": ready.key.hex(),
            "body": _body(asked, request, ready, media),
            "reply": None if reply is None else _shown(reply),
        }
        if reply is None or reply.fault is None:
            return


def _shown(reply: Reply) -> Shown:
    return {name: value for name, value in reply._asdict().items() if name != "number"}


def _body(asked: _Asked, request: Request, ready: Prepared, media: Media) -> Shown:
    """Return the body of the request, with a description in place of the bytes of each image, and
    the names of environment variables in place of their values."""
    images = {
        ref: sent_image(data, ref, media, asked.step.image_pixels())
        for ref, data in ready.files.items()
    }
    own = asked.settings["parameters"]
    parameters = {**ready.parameters, **own, **request.parameters}
    model = asked.settings["model"]

    def described(ref: Reference) -> Shown:
        return _described(ref, images[ref])

    return wire.body_with(request, model, parameters, described)


def _described(ref: Reference, image: SentImage) -> Shown:
    header = probe(image.data)
    return {
        "type": "image",
        "mime": image.mime,
        "width": header.width,
        "height": header.height,
        "size_bytes": len(image.data),
        "from": ref.place,
    }


def _entry(folder: str, key: bytes) -> dict[str, Any] | None:
    """Return the first journal entry with this key, which is the one that a run uses; None if there
    is none."""
    for uri in entries.files(folder):
        for line in entries.lines(uri):
            if line.entry and line.entry.get("key") == key.hex():
                return line.entry
    return None
