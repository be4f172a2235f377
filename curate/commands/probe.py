"""`curate probe`: measure a sample without dropping records, to help choose thresholds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from curate import recipe
from curate.commands.tables import bar, number, table
from curate.engine import probe
from curate.engine.probe import Distribution, Probed
from manifests.visible import on_one_line


def main(options: argparse.Namespace) -> int:
    probed = probe.probe(recipe.load(options.recipe, options.set), options.rows)
    print(json.dumps(_as_json(probed), indent=1) if options.json else _summary(probed))
    return 0


def _as_json(probed: Probed) -> dict[str, Any]:
    return {
        "rows": probed.rows,
        "quarantined": probed.quarantined,
        "measures": {
            m.name: {"quantiles": m.quantiles, "counts": m.counts} for m in probed.measures
        },
        "would_drop": {a.step: a.dropped for a in probed.accounts},
        "would_quarantine": {a.step: a.quarantined for a in probed.accounts},
        "skipped": probed.skipped,
    }


def _summary(probed: Probed) -> str:
    parts = [f"{probed.rows:,} records measured, {len(probed.quarantined):,} inputs unreadable"]
    parts += [
        f"  {on_one_line(f['origin'])}: {on_one_line(f['message'])}" for f in probed.quarantined[:5]
    ]
    parts += ["", *(_histogram(measure) for measure in probed.measures)]
    rows = [
        (
            a.step,
            a.rows_in,
            a.rows_dropped,
            a.rows_quarantined,
            _share(a.removed, a.rows_in),
            _why(a.dropped | a.quarantined),
        )
        for a in probed.accounts
    ]
    parts.append("how many of all these records each step would remove, if it were the only one:")
    head = ("step", "in", "would drop", "would quarantine", "share removed", "why")
    parts.append(table(head, rows))
    if probed.skipped:
        parts += ["", "steps that were skipped, because a sample cannot show what they do:"]
        parts.append(table(("step", "why"), list(probed.skipped.items())))
    return "\n".join(parts)


def _histogram(measure: Distribution) -> str:
    lines = [
        f"{measure.name}   ({measure.nulls:,} records without a value)"
        if measure.nulls
        else measure.name
    ]
    if measure.quantiles:
        quantiles = (f"{name} {number(value)}" for name, value in measure.quantiles.items())
        lines.append("  " + "  ".join(quantiles))
    largest = max(measure.counts.values(), default=1)
    width = max((len(label) for label in measure.counts), default=0)
    for label, n in measure.counts.items():
        lines.append(f"  {label:>{width}} {bar(n / largest)} {n:,}")
    return "\n".join(lines) + "\n"


def _share(part: int, total: int) -> str:
    return f"{part / total:.1%}" if total else ""


def _why(reasons: dict[str, int]) -> str:
    return ", ".join(f"{why} {n:,}" for why, n in reasons.items())
