"""The faults of replies, and the order in which they are looked for."""

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
"""A text that zlib makes so many times smaller repeats itself (our choice). Of the captions in
tests/recaption/test_checks.py, a text of 4600 characters about six charts reaches 5.03, and all
others stay below 4; a sentence that is repeated ten times reaches 7."""
_MIN_COMPRESSED_BYTES = 200
"""Shorter texts are not checked for repetition (our choice)."""
_MIN_COPIED_BYTES = 40
"""UTF-8 bytes of a piece of the prompt that a reply must not contain (our choice): about seven
English words, or 13 Chinese characters."""

_BROKEN = re.compile(r"[\ufffd\x00-\x08\x0e-\x1f\x7f]")

Check = Callable[[str, Asked], bool]
_OF_THE_REPLY = {
    "content filter": ("content_filter", "safety", "prohibited_content", "recitation"),
    "cut off": ("length", "max_tokens", "model_length", "abort"),
}
"""Faults that the endpoint states, and the words for them of OpenAI, of Gemini, Anthropic and
Mistral behind a proxy, and of vLLM. Case does not count."""
MAX_CHARS = 1 << 20
"""The longest reply that is looked at (our choice)."""
_OF_ANY_TEXT: dict[str, Callable[[str], bool]] = {
    "empty": lambda text: not any(char.isprintable() and char != " " for char in text),
    "role tokens": has_role_tokens,
    "thinking": has_thinking,
    "refusal": refuses,
}


def fault_of(reply: Reply) -> str | None:
    """Returns what is wrong with a reply, whatever it was asked for; None if nothing is. Repetition
    is none, because the same fields occur in each object of a list in JSON."""
    return _stated(reply) or next(
        (fault for fault, check in _OF_ANY_TEXT.items() if check(reply.text.strip())), None
    )


def text_fault(reply: Reply, asked: Asked) -> str | None:
    """Returns what is wrong with a reply that becomes the text of a record; None if nothing is.

    If the prompt allows a copy of the record's text, a fault that this text has too is none.
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
    """Whether a text has U+FFFD, which stands for bytes that were no character, or a control
    character that is no space."""
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
"""What can be wrong with a reply that becomes a text."""
