"""Replies in JSON are exact: what is accepted, and the fault of what is not."""

from __future__ import annotations

import pytest

from manifests.step import Reply
from recaption.checks import MAX_CHARS
from recaption.json_replies import WrongReplyError, fault_by, json_value, object_of

GOOD = [
    '{"a": 1, "b": "x"}',
    ' \n{"a": 1, "b": "x"}\n',
    '```json\n{"a": 1, "b": "x"}\n```',
    '```\n{"a": 1,\n"b": "x"}\n```\n',
    '```JSON\r\n{"a": 1, "b": "x"}\n```',
]
BAD = {
    "": "empty",
    "I'm sorry, but I can't help with that.": "refusal",
    "no": "not JSON",
    '{"a": 1, "b": "x"': "not JSON",
    '{"a": 1, "b": "x"}.': "not JSON",
    'Here it is: {"a": 1, "b": "x"}': "not JSON",
    '{"a": 1, "b": "x"}{"a": 1, "b": "x"}': "not JSON",
    "{'a': 1, 'b': 'x'}": "not JSON",
    '{"a": 1, "b": "x",}': "not JSON",
    '```json\n{"a": 1, "b": "x"}': "not JSON",
    '```json\n{"a": 1, "b": "x"}\n``` done': "not JSON",
    '```python\n{"a": 1, "b": "x"}\n```': "not JSON",
    '```json\n```json\n{"a": 1, "b": "x"}\n```\n```': "not JSON",
    '{"a": 1, "a": 2, "b": "x"}': "not JSON",
    '{"a": 1, "b": "\\ud800"}': "not JSON",
    '{"a": 1, "b": ' + "[" * 100_000: "not JSON",
    '{"a": 1, "b": "x", "c": ' + "[" * 300 + "]" * 300 + "}": "not JSON",
    "[1]": "wrong type",
    "null": "wrong type",
    '[{"a": 1, "b": "x"}]': "wrong type",
    '{"a": "1", "b": "x"}': "wrong type",
    '{"a": 1.0, "b": "x"}': "wrong type",
    '{"a": true, "b": "x"}': "wrong type",
    '{"a": NaN, "b": "x"}': "wrong type",
    '{"a": 1e999, "b": "x"}': "wrong type",
    '{"a": 1, "b": null}': "wrong type",
    '{"a": ' + "9" * 5000 + ', "b": "x"}': "wrong type",
    '{"a": 1}': "wrong fields",
    '{"a": 1, "b": "x", "c": 1}': "wrong fields",
    '{"reply": {"a": 1, "b": "x"}}': "wrong fields",
    '{"a": 1, "b": "' + "x" * MAX_CHARS + '"}': "too long",
}


def read(text: str) -> object:
    return object_of(json_value(text), {"a": int, "b": str})


@pytest.mark.parametrize("text", GOOD)
def test_json_is_read_with_blanks_or_a_fence_around_it(text: str) -> None:
    assert read(text) == {"a": 1, "b": "x"}


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:40]))
def test_any_other_reply_has_a_fault(text: str) -> None:
    assert fault_by(read, Reply(text, "stop", "model")) == BAD[text]
    with pytest.raises(WrongReplyError):
        read(text)


def test_a_reply_that_is_cut_off_is_not_read() -> None:
    assert fault_by(read, Reply(GOOD[0], "length", "model")) == "cut off"


def test_equal_objects_are_no_repetition() -> None:
    text = "[" + ", ".join(['{"label": "dog", "score": 4}'] * 200) + "]"
    assert fault_by(json_value, Reply(text, "stop", "model")) is None


def test_a_fence_inside_a_string_is_text() -> None:
    assert json_value('{"a": "```json\\n1\\n```"}') == {"a": "```json\n1\n```"}
