"""`curate explain`: print what happened to one record, or list all quarantined inputs."""

from __future__ import annotations

import argparse
import json

from curate.commands.tables import (
    number,
    shortened,
    shortened_list,
    shortened_origin,
    table,
    without_bytes,
)
from curate.inspect.explain import Explanation, explain
from curate.inspect.quarantine import quarantined
from curate.inspect.step_events import MAY_SUCCEED
from manifests.errors import RecipeError
from manifests.visible import on_one_line


def main(options: argparse.Namespace) -> int:
    if options.quarantine:
        return _quarantine(options.run, options.json)
    if options.record is None:
        raise RecipeError(
            "no record is named",
            "curate explain",
            "Name a record, or list all quarantined inputs with --quarantine.",
        )
    found = explain(options.run, options.record)
    if options.json:
        explained = {**found._asdict(), "events": [event._asdict() for event in found.events]}
        print(json.dumps(without_bytes(explained), ensure_ascii=False, indent=1))
    else:
        print(_summary(found))
        for step in found.request_steps:
            print(
                f"\nwhat {step} asked: curate show {options.run} --prompt {found.id} --step {step}"
            )
    return 0


def _quarantine(out: str, as_json: bool) -> int:
    rows = quarantined(out).to_pylist()
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    shown = [
        (shortened_origin(r["origin"]), r["step"], r["error"], r["rows"],
         MAY_SUCCEED if r["later"] else "", shortened(r["message"]))
        for r in rows
    ]  # fmt: skip
    print(table(("origin", "step", "error", "rows", "retry", "message"), shown))
    if any("…" in (row[0][0], row[-1][-1:]) for row in shown):
        print(f"\nin full: curate explain {out} --quarantine --json")
    return 0


def _summary(found: Explanation) -> str:
    lines = [
        f"id      {found.id}",
        f"source  {found.source}",
        f"origin  {on_one_line(found.origin)}",
    ]
    for segment in (found.record or {}).get("content", []):
        lines.append(f"{segment['kind']:<7} {_content(found, segment)}")
    lines.append("")
    width = max(len(event.step) for event in found.events)
    for event in found.events:
        facts = ", ".join(f"{k} {_value(without_bytes(v))}" for k, v in event.facts.items())
        lines.append(f"{event.step:<{width}}  {event.what:<11}  {facts}".rstrip())
    return "\n".join(lines)


def _content(found: Explanation, segment: dict[str, object]) -> str:
    if segment["kind"] == "text":
        return str(segment["text"])[:300]
    assert found.record is not None
    media = found.record["media"][segment["media"]]
    uri = media["uri"] if media["offset"] is None else f"{media['uri']}@{media['offset']}"
    return f"{on_one_line(uri)}  {media['mime']} {media['width']} x {media['height']}"


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else shortened_list(value)
