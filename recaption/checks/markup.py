"""Finds the parts of a reply that do not belong to the answer: markup, preambles, thoughts, and
tokens that separate the messages of a chat."""

from __future__ import annotations

import re

_MARKUP = re.compile(
    r"^ {0,3}(?:```|~~~)"  # a code fence
    r"|^ {0,3}#{1,6} +\S"  # a heading
    r"|(?<![\w*])\*\*(?=[^\s*])[^*\n]{1,200}(?<=\S)\*\*(?![\w*])"  # bold
    r"|^ {0,3}(?:[-*+\u2022] |\d{1,2}[.)] )[^\n]*\n\s*(?:[-*+\u2022] |\d{1,2}[.)] )"  # a list
    r"|^ {0,3}</?(?:html|body|p|div|span|br|b|i|em|strong|h[1-6]|ul|ol|li|table|tr|td|img|a)"
    r"(?: [^<>\n]*)?/?>",  # a line that begins with an HTML tag
    re.MULTILINE | re.IGNORECASE,
)
_WHAT = (
    r"(?:description|caption|text|transcription|transcript|reading|translation|summary|rewrite|"
    r"version|answer|paragraph|alt text)"
)
_PREAMBLE = re.compile(
    r"(?:(?:sure|certainly|of course|absolutely|okay|ok|great)[!,.] )?"
    rf"(?:here(?:['\u2019]s| is| are)|below is|the following is) [^\n:]{{0,80}}\b{_WHAT}s?\b"
    r"[^\n:]{0,80}:"
    r"|(?:sure|certainly|of course|absolutely)[!,.] (?:here|i['\u2019 ]|below|the following)"
    r"|\W{0,4}(?:image |detailed |corrected |refined |rewritten )"
    r"(?:description|caption|text|reading)s?\W{0,4}:"
    r"|(?:好的|当然|当然可以)[\uff0c,\u3002!\uff01]\s?(?:以下|这|下面)"
    r"|(?:以下|下面)(?:是|为)[^\n\uff1a:]{0,40}"
    r"(?:描述|说明|文字|文本|标题|翻译)[^\n\uff1a:]{0,20}[\uff1a:]",
    re.IGNORECASE,
)
"""Beginnings of replies that announce the answer, in English and Chinese (our list)."""
_THINKING = re.compile(
    r"</?(?:think|thinking|thought|reasoning)>|\u25c1/?think\u25b7", re.IGNORECASE
)
"""The tags that Qwen, DeepSeek, Kimi and other models write around their thoughts."""
_ROLE_TOKENS = re.compile(
    r"<\|[a-z][a-z_]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>"
    r"|\A\s*(?:assistant|model)\s*(?::|\n)",
    re.IGNORECASE,
)
"""Tokens of the chat templates of Qwen (ChatML), Llama 2 and 3, Mistral and Gemma, and the name of
the model's role at the start of a reply."""


def has_markup(text: str) -> bool:
    """Returns whether a text has a heading, bold words, a list of at least two items, a code fence,
    or a line that begins with an HTML tag. An HTML tag or a sign such as # inside a line does not
    count."""
    return _MARKUP.search(text) is not None


def has_preamble(text: str) -> bool:
    """Returns whether a text begins with words that announce the answer."""
    return _PREAMBLE.match(text) is not None


def has_thinking(text: str) -> bool:
    """Returns whether a text has the tags that a reasoning model puts around its thoughts."""
    return _THINKING.search(text) is not None


def has_role_tokens(text: str) -> bool:
    """Returns whether a text has tokens that separate the messages of a chat, or begins with the
    name of the model's role, such as `assistant:`."""
    return _ROLE_TOKENS.search(text) is not None
