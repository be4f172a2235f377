"""Formats what the request steps of a recipe will ask and cost, for `curate plan`."""

from __future__ import annotations

import math
import shlex
from typing import Any

from curate.commands.tables import count, number
from curate.engine.forecast import Forecast
from manifests.run.bill import money_text
from manifests.step import RequestStep

_SOURCES = {
    "sample": "a sample with {}",
    "same records": "{} in the journal about these records",
    "same prompt": "{} in the journal to the same prompt",
}


def as_json(found: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON values; numbers that are not known are null."""
    made = {**found._asdict(), "to_ask": found.to_ask}
    if found.estimate is not None:
        values = found.estimate._asdict().items()
        made["estimate"] = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in values
        }
    return made


def text(name: str, step: RequestStep, found: Forecast | None, recipe: str, out: str) -> str:
    """Describe the forecast of a step. `found` is None if its records are not made yet."""
    if found is None:
        command = shlex.join(["curate", "run", recipe, "-o", out, "--until", name])
        return f"{name}: the passes before it are not done. First: {command}"
    before = f"; {found.done:,} are done" if found.done else ""
    lines = [
        f"{name}: {count(found.records, 'record')} to process{before}",
        f"  requests  {count(found.requests, 'different request')}, of which the journal has the "
        f"replies to {found.in_journal:,}; {found.to_ask:,} to be asked",
    ]
    if found.failing:
        lines.append(f"            {found.failing:,} more cannot be made: an image cannot be read")
    if not found.to_ask:
        return "\n".join(lines)
    exact = "" if found.is_exact else "not exact, because `curate[tokens]` is not installed: "
    lines.append(
        f"  input     {found.input_tokens:,} tokens to be asked ({exact}{found.counted_by}; a chat "
        "template adds some)"
    )
    return "\n".join([*lines, *_estimated(step, found)])


def _estimated(step: RequestStep, found: Forecast) -> list[str]:
    estimate = found.estimate
    if estimate is None:
        return ["  forecast  none: no reply is known to such requests. Add --sample 50"]
    spread = "" if math.isnan(estimate.spread) else f", spread {number(estimate.spread)}"
    lines = [
        f"  forecast  from {_SOURCES[estimate.source].format(f'{estimate.replies:,} replies')}: "
        f"{estimate.requests:,.0f} requests, {estimate.input_tokens:,.0f} input tokens, "
        f"{estimate.output_tokens:,.0f} output tokens ({number(estimate.per_request)} each{spread})"
    ]
    if step.prices:
        rounded = round(estimate.money_error, 12)  # a spread of 0 leaves 1e-18
        error = "" if math.isnan(rounded) else f" ± {rounded:.2g}"
        lines.append(f"  money     {money_text(estimate.money, step.prices.currency)}{error}")
    time = _time(estimate.seconds / step.max_concurrent)
    lines.append(
        f"  time      {time}, if {step.max_concurrent} requests at once are answered as fast as "
        "those"
    )
    return lines


def _time(seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} seconds"
