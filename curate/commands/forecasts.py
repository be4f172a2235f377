"""Formats the forecasts of `curate plan`: what the request steps of a recipe will ask and cost."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
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


def as_json(step: RequestStep, found: Forecast) -> dict[str, Any]:
    """Return a forecast as values for JSON; unknown numbers are null."""
    end = found.end(step.budget) if step.budget else None
    made = {**found._asdict(), "to_ask": found.to_ask, "spent": found.spent.model_dump(mode="json")}
    made["budget_end"] = None if end is None else end._asdict()
    if found.estimate is not None:
        values = found.estimate._asdict().items()
        made["estimate"] = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in values
        }
    return made


def text(name: str, step: RequestStep, found: Forecast | None, recipe: str, out: str) -> str:
    """Describe the forecast of the step `name`. `found` is None if the passes before the step are
    not done."""
    if found is None:
        command = shlex.join(["curate", "run", recipe, "-o", out, "--until", name])
        return f"{name}: the passes before this step are not done. First run: {command}"
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
        f"  input     {found.input_tokens:,} tokens to be sent ({exact}{found.counted_by}; a chat "
        "template adds some)"
    )
    return "\n".join([*lines, *_estimated(step, found), *_budget(step, found)])


def _budget(step: RequestStep, found: Forecast) -> Iterator[str]:
    """Yield a line that says whether the budget of the step will be enough. Yield no line if the
    step has no budget, or if the costs are not known."""
    if step.budget is None:
        return
    end, currency = found.end(step.budget), step.prices.currency if step.prices else ""
    if end is not None:
        amounts = (end.most, end.spent, end.more)
        most, spent, more = (_amount(amount, end.name, currency) for amount in amounts)
        yield (
            f"  budget    {most} will not be enough: the run stops after about {end.records:,} of "
            f"the {count(found.records, 'record')}; spent so far: {spent}; the rest needs {more}"
        )
    elif found.estimate is not None:
        yield f"  budget    is enough, by this forecast; {found.spent.spent} so far"


def _amount(value: float, name: str, currency: str) -> str:
    return money_text(value, currency) if name == "money" else f"{value:,.0f} {name}"


def _estimated(step: RequestStep, found: Forecast) -> list[str]:
    estimate = found.estimate
    if estimate is None:
        return ["  forecast  none: the journal has no reply to such requests. Add --sample 50"]
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
        "in these replies"
    )
    return lines


def _time(seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} seconds"
