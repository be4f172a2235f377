"""The images of a record are drawn upright, each with its own objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.inspect.drawing.record_images import annotated_image, image_numbers
from manifests import record
from manifests.media import Media

GREY, ORIENTATION = (128, 128, 128), 0x0112


def row(media: list[dict[str, Any]], objects: list[dict[str, Any]]) -> dict[str, Any]:
    made = {"key": "0", "content": [], "media": media, "objects": objects}
    (found,) = record.from_rows([made], "made", "grounding").to_pylist()
    return dict(found)


def medium(uri: str, orientation: int | None = None) -> dict[str, Any]:
    return {"kind": "image", "uri": uri, "width": 600, "height": 500, "orientation": orientation}


def drawn_on(image: Image.Image) -> np.ndarray:
    mask: np.ndarray = (np.asarray(image) != GREY).any(axis=2)
    return mask


@pytest.mark.parametrize("known", [6, None])
def test_an_image_is_drawn_on_as_shown(tmp_path: Path, known: int | None) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    stored = Image.new("RGB", (600, 500), GREY)
    stored.paste((0, 0, 255), (0, 0, 100, 500))  # on the left, which is shown above
    stored.save(tmp_path / "a.png", exif=exif)
    made = row([medium("a.png", known)], [{"box": [100, 800, 200, 900]}])
    found = annotated_image(made, 0, Media(str(tmp_path)))
    assert found.size == (500, 600)
    assert found.getpixel((250, 50)) == (0, 0, 255)
    ys, xs = np.nonzero(drawn_on(found)[110:])
    assert (xs.min(), ys.min() + 110, xs.max(), ys.max() + 110) == (50, 480, 100, 540)


def test_each_image_has_its_own_objects(tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (600, 500), GREY).save(tmp_path / f"{name}.png")
    objects = [{"media": 1, "point": [500, 500]}, {"media": None, "point": [100, 100]}]
    two = row([medium("a.png"), {"kind": "video", "uri": "v.mp4"}, medium("b.png")], objects)
    assert image_numbers(two) == [0, 2]
    media = Media(str(tmp_path))
    both = row([medium("a.png"), medium("b.png")], objects)
    assert [bool(drawn_on(annotated_image(both, n, media)).any()) for n in (0, 1)] == [False, True]
    alone = row([medium("a.png")], objects[1:])
    assert drawn_on(annotated_image(alone, 0, media))[50, 60]
