"""The JSONTestSuite: https://github.com/nst/JSONTestSuite"""

from __future__ import annotations

import json
from pathlib import Path

from curate.ingest.formats.json_elements import (
    elements,
    members,
    object_keys,
)
from tests.ingest.formats.json_arrays import values_and_broken


def suite(real_data: Path, kind: str) -> list[Path]:
    found = sorted((real_data / "hostile/json_test_suite/test_parsing").glob(f"{kind}_*.json"))
    assert len(found) > 30
    return found


def test_every_array_that_must_parse_gives_the_elements_the_parser_gives(
    real_data: Path,
) -> None:
    for path in suite(real_data, "y"):
        want = json.loads(path.read_bytes())
        found = values_and_broken(elements(str(path)))
        if isinstance(want, list):
            assert found == (list(enumerate(want)), []), path.name
        else:
            assert found == ([], [0]), path.name


def test_every_array_that_must_not_parse_ends_in_an_error(real_data: Path) -> None:
    for path in suite(real_data, "n"):
        is_constant = "NaN" in path.name or "infinity" in path.name  # read as null
        assert is_constant or values_and_broken(elements(str(path)))[1], path.name


def test_files_that_a_parser_may_accept_or_refuse_cause_no_crash(real_data: Path) -> None:
    for path in suite(real_data, "i"):
        values, broken = values_and_broken(elements(str(path)))
        assert values or broken, path.name


def test_every_object_that_must_parse_gives_its_keys(real_data: Path) -> None:
    for path in suite(real_data, "y"):
        want = json.loads(path.read_bytes())
        if isinstance(want, dict):
            assert list(members(str(path)).ranges) == list(want), path.name
            assert list(dict.fromkeys(object_keys(path.read_bytes()))) == list(want), path.name
