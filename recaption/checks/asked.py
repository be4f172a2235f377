"""The parts of a request that the checks of its reply need."""

from __future__ import annotations

from typing import NamedTuple

from recaption.prompts.prompt import Expects


class Asked(NamedTuple):
    """The parts of a request for a new text that the checks of its reply need. `raw_text` is the
    text of the record. `instructions` are the parts of the prompt that are the same for all
    records. `language` is the BCP 47 tag of the language that the prompt asks for; None if it asks
    for none."""

    raw_text: str
    instructions: tuple[str, ...]
    expects: Expects
    language: str | None = None
