"""The criteria by which a model scores records, and the JSON in which it states the scores."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from recaption.json_replies import (
    OUT_OF_RANGE,
    TOO_LONG,
    WrongReplyError,
    json_value,
    object_of,
    object_schema,
)

LOWEST, HIGHEST = 1, 5
NO_EVIDENCE = "no evidence"
MAX_EVIDENCE = 1000
"""A reply whose evidence has more characters is bad (our choice). The prompt asks for 30 words."""
DOCUMENT_CRITERIA = {
    "text_quality": "The text alone, as if there were no images: it is correct, coherent and worth "
    "reading. 5: well written and informative. 1: garbled, spam, lists of links, or no text.",
    "image_text_relevance": "The images belong to the text: they show, explain or extend what it "
    "is about. 5: each image does. 1: they are decoration, logos or advertisements, or there is no "
    "image.",
    "complementarity": "Images and text each have information that the other lacks, and together "
    "they are complete. 5: neither can be left out. 1: one adds nothing to the other.",
    "density_balance": "Information is balanced between images and text. 5: there is as much text "
    "as the images need, and as many images as the text needs. 1: nearly all is text, or nearly "
    "all is images.",
}
"""The default criteria: the four stages in which Qwen2.5-VL's interleaved documents were scored
(its report, section 2.2.1). The names, the descriptions and the scale are ours, because the report
has none."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_SUFFIXES = ("_evidence", "_visual_dependency")


class Score(NamedTuple):
    """A whole number from LOWEST to HIGHEST, and the quote or the reason that the model gave for
    it, on one line."""

    score: int
    evidence: str


def check_names(names: Collection[str], reserved: Collection[str]) -> None:
    """Raises ValueError if the name of a criterion cannot be the name of a measure. `reserved` are
    the names of the step's other measures."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"the name {name!r} of a criterion must consist of small letters, digits and _, "
                "begin with a letter, and have at most 60 characters, because columns are named "
                "after it"
            )
        if name in reserved or name.endswith(_SUFFIXES):
            raise ValueError(f"the step has another measure named '{name}': rename the criterion")


def schema_of(criteria: Collection[str]) -> dict[str, Any]:
    """Returns the JSON Schema of a reply that scores the criteria. The evidence precedes each
    score, so that the model writes the evidence before it decides."""
    scale = {"type": "integer", "enum": list(range(LOWEST, HIGHEST + 1))}
    one = object_schema({"evidence": {"type": "string"}, "score": scale})
    return object_schema(dict.fromkeys(criteria, one))


def format_text(criteria: Collection[str]) -> str:
    """Returns the text that shows the form of a reply in the prompt."""
    fields = ", ".join(f'"{name}": {{"evidence": "...", "score": N}}' for name in criteria)
    return f"{{{fields}}}"


def criteria_text(criteria: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {' '.join(text.split())}" for name, text in criteria.items())


def scores_of(text: str, criteria: Collection[str]) -> dict[str, Score]:
    """Returns the scores in a reply by criterion. Raises WrongReplyError unless the reply has
    exactly the given criteria, each with evidence and a whole number from LOWEST to HIGHEST."""
    found = object_of(json_value(text), dict.fromkeys(criteria, dict))
    return {name: _score(found[name]) for name in criteria}


def _score(value: Any) -> Score:
    one = object_of(value, {"evidence": str, "score": int})
    if not LOWEST <= one["score"] <= HIGHEST:
        raise WrongReplyError(OUT_OF_RANGE)
    evidence = " ".join(one["evidence"].split())
    if not evidence:
        raise WrongReplyError(NO_EVIDENCE)
    if len(evidence) > MAX_EVIDENCE:
        raise WrongReplyError(TOO_LONG)
    return Score(one["score"], evidence)
