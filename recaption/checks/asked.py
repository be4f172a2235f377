"""The parts of a request that the checks of its reply need."""

from __future__ import annotations

from typing import NamedTuple

from recaption.prompts.prompt import Expects


class Asked(NamedTuple):
    """The parts of a request that the checks of its reply need. The request asks for a new text.
    `raw_text` is the text of the record. `instructions` are the parts of the prompt that are the
    same for all records. `language` is the BCP 47 tag of the language that the prompt asks for;
    None if the prompt does not ask for a language."""

    raw_text: str
    instructions: tuple[str, ...]
    expects: Expects
    language: str | None = None
