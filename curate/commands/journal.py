"""`curate journal`: count the replies in a journal, what they cost, and what runs saved by finding
replies in the journal."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from typing import Any

from pydantic import ValidationError

from curate.cli import DIFFERS, OK
from curate.commands.tables import count, size, table
from manifests.errors import InputError, RecipeError
from manifests.run.bill import money_text
from manifests.step import Prices
from recaption.client.compaction import Compacted, compact
from recaption.client.entries import damaged as damaged_line
from recaption.client.entries import files
from recaption.client.survey import Cost, JournalFile, survey


def main(options: argparse.Namespace) -> int:
    uris = files(options.folder)
    if not uris:
        fault = "this folder has no files of a journal"
        raise InputError(fault, options.folder, "Check the setting `journal` of the step.")
    if options.compact:
        return _compact(options.folder, options.json)
    prices = None if options.prices is None else _prices(options.prices)
    found = [survey(uri, prices) for uri in uris]
    damaged = [(one.name, start, size) for one in found for start, size in one.damaged]
    print(json.dumps(_summary(found, damaged), indent=1) if options.json else _text(found, damaged))
    return DIFFERS if damaged else OK


def _compact(folder: str, is_json: bool) -> int:
    made = compact(folder)
    print(json.dumps(made._asdict(), indent=1) if is_json else _compacted(made))
    return OK


def _compacted(made: Compacted) -> str:
    notes = [
        f"{count(made.before, 'file')} became {made.after:,}",
        f"{count(made.repeated, 'line')} left out because an earlier one has the same key",
        f"{count(made.damaged, 'line')} left out because they are damaged",
        f"{count(made.in_use, 'file')} left as they are because a run is writing to them",
    ]
    numbers = (1, made.repeated, made.damaged, made.in_use)
    return "\n".join(note for note, number in zip(notes, numbers, strict=True) if number)


def _prices(text: str) -> Prices:
    """Read prices such as `input=0.2,output=0.6,currency=EUR`."""
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        return Prices.model_validate({name.strip(): value.strip() for name, _, value in pairs})
    except ValidationError as error:
        first = error.errors()[0]
        fault = f"{'.'.join(map(str, first['loc']))}: {first['msg']} (not {text!r})."
        fix = "Write prices as in --prices input=0.2,output=0.6,request=0,currency=USD."
        raise RecipeError(fault, "the option '--prices'", fix) from None


def _models(found: list[JournalFile]) -> dict[str, Cost]:
    """Return what was paid for the replies of each model."""
    totals: dict[str, Cost] = defaultdict(Cost)
    for one in found:
        for name, cost in one.models.items():
            totals[name].add(cost)
    return dict(sorted(totals.items()))


def _saved(found: list[JournalFile]) -> Cost:
    total = Cost()
    for one in found:
        total.add(one.saved)
    return total


def _summary(found: list[JournalFile], damaged: list[tuple[str, int, int]]) -> dict[str, object]:
    saved = _saved(found)
    return {
        "files": len(found),
        "size_bytes": sum(one.size_bytes for one in found),
        "replies": len({key for one in found for key in one.keys}),
        "hits": saved.replies,
        "saved": _as_json(saved),
        "models": [{"model": name, **_as_json(cost)} for name, cost in _models(found).items()],
        "damaged": [{"file": f, "start": s, "size_bytes": n} for f, s, n in damaged],
    }


def _as_json(cost: Cost) -> dict[str, Any]:
    return {
        "replies": cost.replies,
        "input_tokens": cost.input_tokens,
        "output_tokens": cost.output_tokens,
        "money": dict(cost.money),
        "unpriced": cost.unpriced,
    }


def _text(found: list[JournalFile], damaged: list[tuple[str, int, int]]) -> str:
    keys = {key for one in found for key in one.keys}
    total, saved = size(sum(one.size_bytes for one in found)), _saved(found)
    models = _models(found)
    rows = [
        (name, cost.replies, cost.input_tokens, cost.output_tokens, _money(cost))
        for name, cost in models.items()
    ]
    lines = [
        f"{len(keys):,} different replies in {count(len(found), 'file')}, {total}",
        f"runs found {saved.replies:,} replies in the journal, which saved "
        f"{saved.input_tokens + saved.output_tokens:,} tokens, {_money(saved)}",
        "",
        table(("model", "replies", "input tokens", "output tokens", "money"), rows),
    ]
    if unpriced := sum(cost.unpriced for cost in models.values()):
        lines.append(
            f"{unpriced:,} of the replies state no price: give prices, such as "
            "--prices input=0.2,output=0.6"
        )
    lines += [damaged_line(*one) for one in damaged]
    return "\n".join(lines)


def _money(cost: Cost) -> str:
    texts = [money_text(money, currency) for currency, money in sorted(cost.money.items())]
    return " + ".join(texts) or "money unknown"
