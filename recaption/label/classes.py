"""A closed set of labels, and the JSON in which a model names one of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from recaption.json_replies import WrongReplyError, json_value, object_of, object_schema

OTHER, OTHER_DESCRIPTION = "other", "None of the labels above fits."
UNKNOWN = "unknown label"


def normal_form(label: str) -> str:
    """Returns the form in which labels are compared: in lower case, and without white space and
    punctuation at both ends. `" Sports." -> "sports"`."""
    inner = [n for n, character in enumerate(label) if not _is_outer(character)]
    return label[inner[0] : inner[-1] + 1].casefold() if inner else ""


def _is_outer(character: str) -> bool:
    return character.isspace() or unicodedata.category(character).startswith("P")


def check_labels(labels: Collection[str]) -> None:
    """Raises ValueError if two labels have the same normal form, or if the normal form of a label
    is empty."""
    seen: dict[str, str] = {}
    for label in labels:
        plain = normal_form(label)
        if not plain:
            raise ValueError(f"the label {label!r} has no letter, digit or symbol")
        if plain in seen:
            raise ValueError(
                f"the labels {seen[plain]!r} and {label!r} differ only in case, or in blanks and "
                "punctuation at the ends, so that a reply could mean both"
            )
        seen[plain] = label


def schema_of(labels: Collection[str]) -> dict[str, Any]:
    """Returns the JSON Schema of a reply that names one of the labels."""
    return object_schema({"label": {"type": "string", "enum": list(labels)}})


def labels_text(labels: Mapping[str, str]) -> str:
    lines = ((name, " ".join(text.split())) for name, text in labels.items())
    return "\n".join(f"- {name}: {text}" if text else f"- {name}" for name, text in lines)


def label_of(text: str, labels: Collection[str]) -> str:
    """Returns the label in a reply, spelled as in `labels`. Raises WrongReplyError unless the reply
    has exactly one field, `label`, whose value has the same normal form as one of the labels."""
    plain = normal_form(object_of(json_value(text), {"label": str})["label"])
    for label in labels:
        if normal_form(label) == plain:
            return label
    raise WrongReplyError(UNKNOWN)
