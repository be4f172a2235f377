"""What readers make of generated sources: nothing is lost or invented, and nothing hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from curate import catalog
from tests.hunt.generators import GENERATORS
from tests.hunt.observe import prepare
from tests.hunt.trial import findings

COUNT = int(os.environ.get("CURATE_HUNT", "100"))
"""Trials of each reader; each reads a sound source and three damages of it."""


def test_every_reader_of_the_catalog_has_a_generator() -> None:
    assert set(GENERATORS) == set(catalog.READERS)


@pytest.mark.parametrize("reader", sorted(GENERATORS))
def test_what_a_reader_makes_of_generated_sources_is_accounted_for(
    reader: str, tmp_path: Path
) -> None:
    prepare(tmp_path)
    for seed in range(COUNT):
        assert not [str(one) for one in findings(GENERATORS[reader], seed, tmp_path)]
