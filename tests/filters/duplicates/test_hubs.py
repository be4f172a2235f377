"""Units that very many others are duplicates of are named in a note."""

from __future__ import annotations

import numpy as np
import pytest

from filters.duplicates.duplicate_images import DuplicateImages
from filters.duplicates.duplicates import Duplicates
from filters.duplicates.phases import image_proof, search, survivors
from filters.duplicates.phases.hubs import MIN_JOINED, left_note
from manifests import record
from manifests.kernels.look_alike import BYTES
from manifests.step import CorpusStep
from tests.filters.corpus_steps import temporary_workspace
from tests.filters.duplicates.records import SOURCE, flip_bits, in_parts, random_hashes, row

Capture = pytest.CaptureFixture[str]


def notes(step: CorpusStep, rows: list[dict[str, object]], capsys: Capture) -> str:
    with temporary_workspace() as space:
        step.fit(in_parts(rows), space._replace(progress=type(space.progress)(quiet=False)), 0)
    return capsys.readouterr().err


@pytest.mark.parametrize("chains", ["cut", "keep"])
def test_an_image_that_joins_very_many_is_named_with_their_number(
    chains: str, capsys: Capture
) -> None:
    logo, other = random_hashes(1, 2)
    rows = [row(f"l{n}", hashes=[logo]) for n in range(MIN_JOINED + 5)]
    rows += [row(f"o{n}", hashes=[other]) for n in range(MIN_JOINED + 1)]  # of it: MIN_JOINED
    first = min(record.record_id(SOURCE, f"l{n}") for n in range(MIN_JOINED + 5))
    for step in (Duplicates(by="perceptual", keep="id", chains=chains),
                 DuplicateImages(keep="id", chains=chains)):  # fmt: skip
        text = notes(step, rows, capsys)
        if chains == "cut":
            assert f"to each of these: {first} ({MIN_JOINED + 4:,}). Look at them" in text
        assert "images were not compared" not in text


@pytest.mark.parametrize("chains", ["cut", "keep"])
def test_images_that_are_not_compared_with_all_others_are_counted(
    chains: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (image_proof, search, survivors):
        monkeypatch.setattr(module, "MAX_COMPARED", 10)
    (one,) = random_hashes(1, 1)
    draw = np.random.default_rng(1)
    rows = [row(f"r{n}", hashes=[flip_bits(one, n % 3)],
                colours=[draw.integers(0, 256, BYTES, np.uint8).tobytes()])
            for n in range(60)]  # fmt: skip
    text = notes(DuplicateImages(chains=chains), rows, capsys)
    assert left_note(50, 10) in text
