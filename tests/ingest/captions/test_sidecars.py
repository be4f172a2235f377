"""Files beside an image are read, or refused with the reason."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import orjson
import pytest

from curate.ingest.captions.records.sidecars import CAPTION_NAMES, Description, describe
from manifests.errors import RowError


def refused(sidecars: dict[str, bytes]) -> str:
    with pytest.raises(RowError) as error:
        describe(sidecars, CAPTION_NAMES)
    return str(error.value)


def test_a_byte_order_mark_and_line_ends_are_no_part_of_the_caption() -> None:
    sidecars = {"txt": b"\xef\xbb\xbf a cat\r\n"}
    assert describe(sidecars, CAPTION_NAMES) == Description("a cat", None)


def test_a_field_that_repeats_the_caption_is_left_out_and_others_are_kept() -> None:
    fields = {"caption": "a cat ", "text": "a dog", "n": 1}
    sidecars = {"txt": b"a cat\n", "json": json.dumps(fields).encode()}
    assert describe(sidecars, CAPTION_NAMES) == Description("a cat", '{"text":"a dog","n":1}')


def test_json_deeper_than_can_be_kept_is_refused() -> None:
    deep = b"[" * 600 + b"]" * 600
    fix = "Nest the fields less deeply."
    assert refused({"json": b'{"x": ' + deep + b"}"}).endswith(fix)
    assert refused({"json": deep}).endswith(fix)
    assert refused({"json": b"[" * 100_000}).endswith(fix)


def test_a_value_in_a_message_is_cut_between_characters() -> None:
    data = json.dumps({"caption": {"x": "é" * 100}}, ensure_ascii=False).encode()
    assert refused({"json": data}).startswith(
        '.json file: the field \'caption\' is {"x":"' + "é" * 34 + ", not text."
    )


def test_half_a_surrogate_pair_is_refused() -> None:
    assert "half of a character" in refused({"json": b'{"caption": "\\ud800", "n": NaN}'})


def test_the_json_test_suite_is_accepted_or_refused_as_specified(real_data: Path) -> None:
    """Inside an object, but for NaN and Infinity, which Python writes, and a key twice."""
    files = sorted((real_data / "hostile/json_test_suite").rglob("*.json"))
    accepted = set()
    for path in files:
        with contextlib.suppress(RowError):
            description = describe({"json": b'{"x": ' + path.read_bytes() + b"}"}, CAPTION_NAMES)
            assert list(orjson.loads(description.meta or "")) == ["x"]
            accepted.add(path.name)
    assert {p.name for p in files if p.name.startswith("y_")} - accepted == {
        "y_object_duplicated_key.json"
    }
    assert {name for name in accepted if name.startswith("n_")} == {
        "n_number_NaN.json",
        "n_number_infinity.json",
        "n_number_minus_infinity.json",
    }


def test_a_blank_file_leaves_the_caption_to_the_field_of_its_name() -> None:
    fields = {"txt": "a cat", "url": "u"}
    sidecars = {"txt": b" \n", "json": json.dumps(fields).encode()}
    assert describe(sidecars, CAPTION_NAMES) == Description("a cat", '{"url":"u"}')
    assert describe({"txt": b"", "json": b'{"txt": " ", "n": 1}'}, CAPTION_NAMES) == Description(
        None, '{"n":1}'
    )
