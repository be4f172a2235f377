"""`curate show --prompt`: print what a request step sends to its model about a record, and the
replies."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from curate.cli import OK
from curate.inspect.sent_requests import sent_requests
from manifests.errors import RecipeError
from manifests.visible import on_one_line, visible

_AGAIN = {1: "", 2: ", again after a bad reply"}


def main(options: argparse.Namespace) -> int:
    given = {"--dropped": options.dropped, "--quarantined": options.quarantined,
             "--image": options.image, "--source": options.source,
             f"the record '{''.join(options.records[:1])}'": options.records}  # fmt: skip
    if other := next((name for name, value in given.items() if value), None):
        fault = f"--prompt and {other} exclude each other"
        raise RecipeError(fault, "curate show", "Leave out one of them.")
    shown = sent_requests(options.run, options.prompt, options.step, options.base)
    if options.json:
        print(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_lines(shown)))
    if shown["is_changed"]:
        note = f"curate: a file of the step {shown['step']}, such as its prompt, was changed after "
        print(f"{note}the run. This is what a run would send now.", file=sys.stderr)
    return OK


def _lines(shown: dict[str, Any]) -> Iterator[str]:
    yield f"{shown['id']}  {on_one_line(shown['origin'])}"
    if not shown["requests"]:
        yield f"  {shown['step']} asks nothing about this record"
    for sent in shown["requests"]:
        for one in sent:
            yield from _request(shown["step"], one)


def _request(step: str, one: dict[str, Any]) -> Iterator[str]:
    body = dict(one["body"])
    messages = body.pop("messages")
    named = f', prompt "{one["prompt"]}"' if one["prompt"] else ""
    yield f"{step} asks {body.pop('model')}{named}{_AGAIN[one['number']]}"
    yield f"  parameters: {visible(json.dumps(body, ensure_ascii=False))}"
    for message in messages:
        yield f"  {message['role']}:"
        parts = message["content"]
        for part in [{"type": "text", "text": parts}] if isinstance(parts, str) else parts:
            yield from (f"    {line}" for line in _part(part))
    yield from _reply(one["reply"])


def _part(part: dict[str, Any]) -> list[str]:
    if part["type"] == "text":
        return visible(part["text"]).split("\n")
    size = f"{part['width']} x {part['height']}, {part['size_bytes']:,} bytes"
    return [f"[{part['mime']} {size}, from {on_one_line(part['from'])}]"]


def _reply(reply: dict[str, Any] | None) -> Iterator[str]:
    if reply is None:
        yield "  reply: none in the journal, so a run asks for it"
        return
    facts = {"fault": reply["fault"], "ended by": reply["finish"], "model": reply["model"],
             "input tokens": reply["input_tokens"], "output tokens": reply["output_tokens"],
             "refusal": reply["refusal"]}  # fmt: skip
    known = (f"{name} {on_one_line(str(value))}" for name, value in facts.items() if value)
    yield f"  reply, from the journal: {', '.join(known)}"
    yield from (f"    {line}" for line in visible(reply["text"]).split("\n"))
