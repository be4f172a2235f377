"""Finds the fault of a reply. The checks have a fixed order; the first fault that is found
counts."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

import orjson

from manifests.step import Reply
from recaption.checks.asked import Asked
from recaption.checks.folded import folded
from recaption.checks.languages import is_other_language
from recaption.checks.markup import has_markup, has_preamble, has_role_tokens, has_thinking
from recaption.checks.refusals import refuses

_MAX_COMPRESSION = 6.0
"""A text repeats itself if zlib makes it smaller by more than this factor (our choice). Among the
captions in tests/recaption/test_checks.py, a text of 4600 characters about six charts has a factor
of 5.03, and all others have less than 4. A sentence that is repeated ten times has 7."""
_MIN_COMPRESSED_BYTES = 200
"""Texts with fewer UTF-8 bytes are not checked for repetition (our choice)."""
_MIN_COPIED_BYTES = 40
"""A reply copies the prompt if it contains a piece of the prompt with at least this many UTF-8
bytes (our choice): about seven English words, or 13 Chinese characters."""

_BROKEN = re.compile(r"[\ufffd\x00-\x08\x0e-\x1f\x7f]")

Check = Callable[[str, Asked], bool]
_OF_THE_REPLY = {
    "content filter": ("content_filter", "safety", "prohibited_content", "recitation"),
    "cut off": ("length", "max_tokens", "model_length", "abort"),
}
"""Faults that are found by the reason that the endpoint states for the end of a reply. The reasons,
in upper or lower case, are those of OpenAI, of vLLM, and of Gemini, Anthropic and Mistral behind a
proxy."""
MAX_CHARS = 1 << 20
"""A reply with more characters is bad, and its text is not checked further (our choice)."""
_OF_ANY_TEXT: dict[str, Callable[[str], bool]] = {
    "empty": lambda text: not any(char.isprintable() and char != " " for char in text),
    "role tokens": has_role_tokens,
    "thinking": has_thinking,
    "refusal": refuses,
}


def fault_of(reply: Reply) -> str | None:
    """Returns the first fault of a reply that counts for every prompt, such as a refusal; None if
    there is no such fault. Repetition is not checked here, because in a JSON list each object
    repeats the names of its fields."""
    return _stated(reply) or next(
        (fault for fault, check in _OF_ANY_TEXT.items() if check(reply.text.strip())), None
    )


def text_fault(reply: Reply, asked: Asked) -> str | None:
    """Returns the fault of a reply that becomes the text of a record; None if there is none.

    If the prompt allows a copy of the record's text, a fault of the reply does not count if the
    record's text has the same fault.
    """
    if stated := _stated(reply):
        return stated
    text, old = reply.text.strip(), asked.raw_text if asked.expects.may_copy else ""
    for fault, check in _OF_A_TEXT.items():
        if check(text, asked) and not (old and check(old, asked)):
            return fault
    return None


def _stated(reply: Reply) -> str | None:
    finish = reply.finish.lower()
    stated = next((fault for fault, words in _OF_THE_REPLY.items() if finish in words), None)
    if stated is None and reply.refusal:
        return "refusal"
    return stated or ("too long" if len(reply.text) > MAX_CHARS else None)


def _repeats(text: str, asked: Asked) -> bool:
    data = text.encode(errors="replace")
    return len(data) >= _MIN_COMPRESSED_BYTES and (
        len(data) > _MAX_COMPRESSION * len(zlib.compress(data, 6))
    )


def _has_broken_characters(text: str) -> bool:
    """Returns whether a text has a control character other than a tab or a line break, or U+FFFD,
    which replaces bytes that are not a valid character."""
    return _BROKEN.search(text) is not None


def _is_json(text: str, asked: Asked) -> bool:
    if asked.expects.markup or text[:1] not in ("{", "["):
        return False
    try:
        orjson.loads(text.encode(errors="replace"))
    except orjson.JSONDecodeError:
        return False
    return True


def _copies_prompt(text: str, asked: Asked) -> bool:
    plain = folded(text)
    pieces = (folded(piece) for piece in asked.instructions)
    return any(len(one.encode()) >= _MIN_COPIED_BYTES and one in plain for one in pieces)


def _copies_text(text: str, asked: Asked) -> bool:
    return bool(asked.raw_text) and folded(text) == folded(asked.raw_text)


def _is_long(text: str, asked: Asked) -> bool:
    return asked.expects.max_chars is not None and len(text) > asked.expects.max_chars


def _of_text(check: Callable[[str], bool]) -> Check:
    return lambda text, asked: check(text)


def _unless_markup(check: Callable[[str], bool]) -> Check:
    return lambda text, asked: not asked.expects.markup and check(text)


_OF_A_TEXT: dict[str, Check] = {
    **{fault: _of_text(check) for fault, check in _OF_ANY_TEXT.items()},
    "broken characters": _of_text(_has_broken_characters),
    "preamble": _of_text(has_preamble),
    "JSON": _is_json,
    "markup": _unless_markup(has_markup),
    "repetition": _repeats,
    "copy of the prompt": _copies_prompt,
    "copy of the text": _copies_text,
    "too short": lambda text, asked: len(text) < asked.expects.min_chars,
    "too long": _is_long,
    "wrong language": lambda text, asked: (
        asked.language is not None and is_other_language(text, asked.language)
    ),
}
FAULTS = (*_OF_THE_REPLY, *_OF_A_TEXT)
"""All faults that a reply can have if it becomes the text of a record."""
