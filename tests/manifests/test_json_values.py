"""One parser and one writer of JSON: what orjson cannot represent, and both paths alike."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from manifests.errors import RowError
from manifests.text import json_values
from manifests.text.json_values import MAX_DEPTH, dump_json, parse_json, parse_objects


@pytest.mark.parametrize(
    "number", [2**63 - 1, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 2**128, -(10**400)]
)
def test_whole_numbers_keep_every_digit(number: int) -> None:
    text = f'{{"n":{number},"nested":[{number}]}}'
    assert parse_json(text.encode()) == {"n": number, "nested": [number]}
    assert dump_json(parse_json(text.encode())) == text


def test_a_number_that_python_cannot_convert_is_text() -> None:
    digits = "1" * 5000
    assert parse_json(digits.encode()) == digits


def test_nan_infinity_and_numbers_over_the_range_are_null() -> None:
    assert parse_json(b"[NaN, Infinity, -Infinity, 1e400, 1.5]") == [None, None, None, None, 1.5]


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        b'{"a": 1, "a": 2}',
        b'{"a" : 1, "a": 2}',
        b'{"a"\t: 1, "b": {"c": "x", "c": "y"}}',
        b'{"\\u0061": 1, "a": 2}',
        b'[{"a": true, "a": 1}]',
        b'{"a" : 1, "a": 2, "b": "x\\":"}',
    ],
)
def test_a_key_twice_with_two_values_is_refused(text: bytes) -> None:
    with pytest.raises(RowError, match="occurs twice in one object"):
        parse_json(text)
    [found] = parse_objects([text])
    assert isinstance(found, RowError)


def test_a_key_twice_with_one_value_is_that_value() -> None:
    assert parse_json(b'{"a": [1], "a": [1]}') == {"a": [1]}


def test_brackets_may_be_as_deep_as_the_limit_and_can_then_be_written() -> None:
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert dump_json(parse_json(deepest)).encode() == deepest
    for depth in (MAX_DEPTH + 1, 600, 100_000):
        with pytest.raises(RowError, match="nested deeper than the limit of 200"):
            parse_json(b"[" * depth + b"]" * depth)


def test_half_of_a_character_is_refused_and_a_whole_one_is_not() -> None:
    assert parse_json(b'"\\ud83d\\udc36"') == "\U0001f436"
    with pytest.raises(RowError, match="half of a character"):
        parse_json(b'["\\ud83d", NaN]')


def test_a_fault_has_its_place() -> None:
    with pytest.raises(RowError, match=r"^character 7: broken JSON: .*, after '{\"a\": 1'"):
        parse_json(b'{"a": 1')
    for before in ("", "\ufeff"):  # the fault, and not the mark of the byte order
        with pytest.raises(RowError, match=r"^character 7: broken JSON: .*, after '{\"a\": 1'"):
            parse_json(f'{before}{{"a": 1'.encode())
    with pytest.raises(RowError, match=r"^character 1[67]: .*, after '{\"a\": NaN, \"b\":"):
        parse_json(b'{"a": NaN, "b": }')  # NaN is allowed
    with pytest.raises(RowError, match=r"^byte 2: 0xff is not UTF-8"):
        parse_json(b'["\xff"]')


def _value(random_: random.Random, depth: int = 0) -> Any:
    kind = random_.randrange(9 if depth < 3 else 7)
    if kind == 7:
        return [_value(random_, depth + 1) for _ in range(random_.randrange(4))]
    if kind == 8:
        return _object(random_, depth + 1)
    digits = random_.randrange(1, 30)
    texts = ["", "a: b", 'x":"y', "{[", " :", "1" * 25, "é", "\\", "http://a.b/c"]
    return [
        None, True, random_.choice(texts), random_.random(),
        random_.randrange(10**digits), -random_.randrange(10**digits), random_.choice(texts),
    ][kind]  # fmt: skip


def _object(random_: random.Random, depth: int = 0) -> dict[str, Any]:
    keys = random_.sample(["a", "b", "c:", 'd"', "e ", "11111111111111111111"], 3)
    return {key: _value(random_, depth) for key in keys}


def test_random_objects_are_read_and_written_as_the_standard_library_does() -> None:
    random_ = random.Random(5)
    for _ in range(300):
        values = [_object(random_) for _ in range(random_.randrange(1, 5))]
        blank = random_.choice([(",", ":"), (", ", ": "), (" ,", " : ")])
        texts = [json.dumps(v, separators=blank, ensure_ascii=False).encode() for v in values]
        assert parse_objects(texts) == values
        assert [parse_json(text) for text in texts] == values
        assert [json.loads(dump_json(value)) for value in values] == values


def test_random_texts_are_refused_alike_alone_and_in_a_batch() -> None:
    random_ = random.Random(7)
    parts = ['"a"', '"b"', ":", ",", "{", "}", "[", "]", "1", "NaN", "9" * 20, " ", '"']
    for _ in range(3000):
        text = ("{" + "".join(random_.choices(parts, k=random_.randrange(8))) + "}").encode()
        [together] = parse_objects([text])
        alone: Any = None
        try:
            alone = parse_json(text)
        except RowError as error:
            alone = error
        assert repr(alone) == repr(together)


def test_a_text_of_too_many_values_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_values, "MAX_VALUES", 100)
    few, many = b'{"a": "%s"}' % (b"x" * 500), b'{"a": [%s]}' % b",".join([b"[]"] * 100)
    fault = "size: it has 103 brackets and keys, more than the limit of 100."
    for values in (parse_objects([few, many, few]), parse_objects([many])):
        [error] = [value for value in values if isinstance(value, RowError)]
        assert error.fault == fault
    with pytest.raises(RowError, match="more than the limit"):
        parse_json(many)
