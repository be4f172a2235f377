"""`curate explain`: the whole story of a record, or the list of what could not be read."""

from __future__ import annotations

import argparse
import json

from curate.commands.tables import number, table
from curate.engine.run import QUARANTINE_FILE
from curate.inspect.story import Story, tell
from manifests import storage
from manifests.errors import RecipeError
from manifests.storage import parts


def main(options: argparse.Namespace) -> int:
    if options.quarantine:
        return _quarantine(options.run, options.json)
    if options.record is None:
        raise RecipeError("name a record", "curate explain RUN", "Or list: --quarantine.")
    story = tell(options.run, options.record)
    if options.json:
        events = [event._asdict() for event in story.events]
        print(json.dumps({**story._asdict(), "events": events}, ensure_ascii=False, indent=1))
    else:
        print(_told(story))
    return 0


def _quarantine(out: str, as_json: bool) -> int:
    rows = parts.read_columns(storage.join(out, QUARANTINE_FILE)).to_pylist()
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    shown = [(r["origin"], r["step"], r["error"], r["message"]) for r in rows]
    print(table(("origin", "step", "error", "message"), shown))
    return 0


def _told(story: Story) -> str:
    lines = [f"id      {story.id}", f"source  {story.source}", f"origin  {story.origin}"]
    for segment in (story.record or {}).get("content", []):
        lines.append(f"{segment['kind']:<7} {_shown(story, segment)}")
    lines.append("")
    width = max(len(event.step) for event in story.events)
    for event in story.events:
        facts = ", ".join(f"{k} {_value(v)}" for k, v in event.facts.items())
        lines.append(f"{event.step:<{width}}  {event.what:<11}  {facts}".rstrip())
    return "\n".join(lines)


def _shown(story: Story, segment: dict[str, object]) -> str:
    if segment["kind"] == "text":
        return str(segment["text"])[:300]
    assert story.record is not None
    media = story.record["media"][segment["media"]]
    where = media["uri"] if media["offset"] is None else f"{media['uri']}@{media['offset']}"
    return f"{where}  {media['mime']} {media['width']} x {media['height']}"


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)
