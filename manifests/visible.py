"""Functions that make text safe to show: control characters are made visible, and passwords in
addresses are hidden."""

from __future__ import annotations

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that a terminal acts on or cannot print: control characters other than tab and
newline, separators of lines, characters that change the direction of text (Unicode Standard Annex
9), and halves of surrogate pairs, which stand for bytes of file names that are not UTF-8."""
_USER = re.compile(r"(?<=://)(?!anonymous@)[^/\s@?#'\"]*@")
_KEYED = re.compile(
    r"(?i)([?&][\w.%-]*(?:key|secret|token|password|passwd|pwd|signature|credential|sig)[\w.%-]*=)"
    r"[^&\s'\"]+"
)
HIDDEN = "***"
PASSWORD_FAULT = "an address must not contain a user, a password or a key"
PASSWORD_FIX = (
    "It would be written to manifests and logs. Put it into environment variables: "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or GOOGLE_APPLICATION_CREDENTIALS; for the "
    "endpoint of a model, the variable that `api_key_variable` names."
)


def visible(text: str) -> str:
    r"""Returns the text with each control character as a JSON escape. Tabs and newlines stay.

    `visible("a\x1b[2J") -> "a\\u001b[2J"`.
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def on_one_line(text: str) -> str:
    r"""Returns the text on one line: line breaks and control characters become escapes:
    `on_one_line("a\nb") -> "a\\nb"`."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def without_passwords(text: str) -> str:
    """Returns the text, with `***` in place of users, passwords and keys in addresses:
    `s3://key:secret@bucket/a -> s3://***@bucket/a`, `?secret_key=x -> ?secret_key=***`."""
    if "://" not in text:
        return text
    return _KEYED.sub(rf"\1{HIDDEN}", _USER.sub(f"{HIDDEN}@", text))


def has_password(uri: str) -> bool:
    """Returns whether an address contains a user, a password or a key."""
    return without_passwords(uri) != uri
