"""Text that is shown: control characters become escapes, passwords in addresses are hidden."""

from __future__ import annotations

import json

import pytest

from manifests.errors import StorageError
from manifests.visible import on_one_line, visible, without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a \x1b[2J\x07 car", "a \\u001b[2J\\u0007 car"),
        ("over\rwritten", "over\\u000dwritten"),
        ("\x9b31m \x7f", "\\u009b31m \\u007f"),
        ("exe\u202egnp.", "exe\\u202egnp."),
        ("\u2066a\u2069 \u2028", "\\u2066a\\u2069 \\u2028"),
        ("name \udcff", "name \\udcff"),
        ("tab\tand\nline, مرحبا, 👩‍🚀", "tab\tand\nline, مرحبا, 👩‍🚀"),
    ],
)
def test_control_characters_become_escapes(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_json_reads_back_what_was_made_visible() -> None:
    text = "".join(map(chr, range(0x2100)))
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


def test_a_cell_has_no_line_breaks() -> None:
    assert on_one_line("a\nb\tc") == "a\\nb\\tc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see s3://KEY:hunter2@bucket/a?region=r", "see s3://***@bucket/a?region=r"),
        ("s3://b/a?secret_key=hunter2&region=r", "s3://b/a?secret_key=***&region=r"),
        ("https://b/a?X-Amz-Signature=hunter2", "https://b/a?X-Amz-Signature=***"),
        ("gs://anonymous@bucket/a", "gs://anonymous@bucket/a"),
        ("mail me@example.com, https://a/b@c", "mail me@example.com, https://a/b@c"),
    ],
)
def test_passwords_in_addresses_are_hidden(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def test_no_error_shows_a_password() -> None:
    error = StorageError(
        "cannot open s3://k:hunter2@b", "s3://k:hunter2@b/a", "Try s3://k:hunter2@c"
    )
    assert "hunter2" not in str(error) + repr(error)
