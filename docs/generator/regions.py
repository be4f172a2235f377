"""Generated regions of the pages: from `<!-- generated: NAME -->` to `<!-- end of NAME -->`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from docs.generator import api, manuals, tables

DOCS = Path(__file__).parents[1]

REGIONS: dict[str, Callable[[], str]] = {
    "table of readers": tables.readers,
    "table of steps": tables.steps,
    "table of presets": tables.presets,
    "columns of a record": tables.record_columns,
    "manuals of readers": manuals.readers,
    "manuals of steps": manuals.steps,
    "manuals of presets": manuals.presets,
    "api": api.reference,
}

_REGION = re.compile(r"<!-- generated: ([\w ]+) -->\n.*?<!-- end of \1 -->", re.S)


def pages() -> dict[Path, str]:
    """Every page with a generated region, and the text that it should have."""
    made = {path: _REGION.sub(_region, path.read_text()) for path in sorted(DOCS.glob("*.md"))}
    return {path: text for path, text in made.items() if _REGION.search(text)}


def _region(found: re.Match[str]) -> str:
    name = found[1]
    return f"<!-- generated: {name} -->\n{REGIONS[name]().strip()}\n<!-- end of {name} -->"
