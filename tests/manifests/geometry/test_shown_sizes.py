"""Sizes of images as they are shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from manifests.geometry.shown_sizes import shown_sizes
from manifests.record import MEDIA


def test_width_and_height_are_swapped_for_a_transposed_image() -> None:
    media = [{"width": 4, "height": 3, "orientation": n} for n in (None, 1, 4, 5, 6, 7, 8)]
    found = shown_sizes(pa.array(media, MEDIA))
    assert found.tolist() == [[4, 3]] * 3 + [[3, 4]] * 4


def test_unknown_sizes_are_nan() -> None:
    media = [{"width": None, "height": 3}, {"width": 0, "height": 3}, None]
    found = shown_sizes(pa.array(media, MEDIA))
    assert np.isnan(found).tolist() == [[True, False], [True, False], [True, True]]
    assert shown_sizes(pa.array([], MEDIA)).shape == (0, 2)
