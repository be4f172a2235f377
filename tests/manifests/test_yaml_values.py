"""YAML files that settings name: a key that comes twice is refused by its line."""

from __future__ import annotations

import pytest

from manifests.errors import InputError
from manifests.text.yaml_values import parse_yaml


def test_plain_values_and_merged_anchors_are_read() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [1, '1']"
    assert parse_yaml(text, "a.yaml") == {
        "a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": [1, "1"]
    }  # fmt: skip
    assert parse_yaml('{"1.5": "a", "b.c": "d"}', "a.json") == {"1.5": "a", "b.c": "d"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: 1\nb: 2\na: 3",
            ("a.yaml: line 3: the key 'a' is in line 1 too. Keep only one of the two keys."),
        ),
        ("n:\n  0: x\n  1: y\n  0: z", "line 4: the key '0' is in line 2 too."),
        ('{"a": 1, "b": [\n{"c": 1,\n"c": 2}]}', "line 3: the key 'c' is in line 2 too."),
        ("{a: 1, a: 2}", "line 1: the key 'a' is in line 1 too."),
        ("a: [", "broken YAML: "),
        ("[" * 9000, "the values are nested too deeply."),
    ],
)
def test_what_is_broken_or_has_two_values_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_yaml(text, "a.yaml")
    assert message in str(raised.value)
