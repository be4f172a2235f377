"""Every case of the folder of cases has its right outcome."""

from __future__ import annotations

import pytest

from tests.run_cases import CHECKS, FOLDER, NOT_RUN, case_names, outcomes

NAMES = case_names(FOLDER) if FOLDER.is_dir() else sorted(CHECKS)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_has_its_right_outcome(name: str) -> None:
    if not (FOLDER / name).is_dir():
        pytest.skip(f"no case at {FOLDER / name}: set CURATE_CASES to the folder of cases")
    [outcome] = outcomes(FOLDER, [name])
    assert not outcome.fault


def test_each_case_is_checked_or_has_a_reason_not_to_be() -> None:
    assert not set(CHECKS) & set(NOT_RUN)
    assert all(NOT_RUN.values())
