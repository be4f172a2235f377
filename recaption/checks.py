"""Checks of replies: what shows that a text is no answer. They are few, and each is certain."""

from __future__ import annotations

import re
import unicodedata
import zlib

from manifests.step import Reply

EMPTY, CUT_OFF, FILTERED = "empty", "cut off", "content filter"
REFUSAL, REPETITION = "refusal", "repetition"
COPIES_TEXT, COPIES_PROMPT = "copy of the text", "copy of the prompt"
_MAX_COMPRESSION = 5.0
"""A text that zlib makes so many times smaller repeats itself (our choice). Descriptions of up to
8000 characters reach 3; a sentence that is repeated twenty times reaches 10."""
_MIN_COMPRESSED_BYTES = 200
"""Shorter texts are not checked for repetition (our choice)."""
_MIN_COPIED = 40
"""The length of a line of the prompt that a reply must not contain (our choice)."""
_REFUSALS = re.compile(
    r"(?:i['\u2019]?m|i am) (?:sorry|unable|not able)\b"
    r"|i (?:cannot|can ?not|can['\u2019]t|won['\u2019]t) (?:help|assist|provide|describe|identify"
    r"|see|view|process|fulfil|comply|do that|answer)"
    r"|sorry, (?:but )?i\b|as an ai\b"
    r"|很?(?:抱歉|对不起)[\uff0c,]|我(?:无法|不能)(?:描述|提供|识别|协助|帮助|查看|回答)"
    r"|作为(?:一个)?(?:ai|人工智能)",
    re.IGNORECASE,
)
"""How replies begin that refuse, in English and Chinese (our list)."""


def fault_of(reply: Reply) -> str | None:
    """Returns what is wrong with a reply, whatever it was asked for; None if nothing is."""
    if reply.finish == "content_filter":
        return FILTERED
    if reply.finish == "length":
        return CUT_OFF
    if reply.refusal:
        return REFUSAL
    text = reply.text.strip()
    if not text:
        return EMPTY
    if _REFUSALS.match(text):
        return REFUSAL
    return REPETITION if _repeats(text) else None


def copy_fault(text: str, raw_text: str, prompt: str) -> str | None:
    """Returns the fault of a text that is a copy: of the record's text, or of a line of the prompt.
    `prompt` is the text of the prompt before the record's text was filled in."""
    plain = _plain(text)
    if raw_text and plain == _plain(raw_text):
        return COPIES_TEXT
    lines = (_plain(line) for line in prompt.splitlines())
    return COPIES_PROMPT if any(len(ln) >= _MIN_COPIED and ln in plain for ln in lines) else None


def _repeats(text: str) -> bool:
    data = text.encode()
    return len(data) >= _MIN_COMPRESSED_BYTES and (
        len(data) > _MAX_COMPRESSION * len(zlib.compress(data, 6))
    )


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
