"""What a model was asked for, as the checks of its reply need it."""

from __future__ import annotations

from typing import NamedTuple

from recaption.prompts.prompt import Expects


class Asked(NamedTuple):
    """What a model was asked for: a new text for `raw_text`. `instructions` are the parts of the
    prompt that are the same for all records. `language` is the BCP 47 tag of the language that the
    prompt asked for; None if it named none."""

    raw_text: str
    instructions: tuple[str, ...]
    expects: Expects
    language: str | None = None
