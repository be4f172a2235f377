"""The step `faces`: faces known from looking at the images, and drops by their number and size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from filters.image.centerface import CenterFace
from filters.image.centerface import Faces as Found
from filters.image.faces import Faces
from manifests.media import Media
from tests.filters.rows import answers, error_kinds, media_records

ASTRONAUT = "captions/skimage_data/astronaut.png"
COFFEE = "captions/skimage_data/coffee.png"
PHOTOS = "grounding/coco_permissive/images/"


def images(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "image", "uri": name} for name in names]


@pytest.mark.parametrize(
    ("name", "faces"),
    [
        (ASTRONAUT, [[355, 114, 527, 347]]),
        ("captions/skimage_data/camera.png", [[395, 232, 503, 384]]),
        (COFFEE, []),
        ("captions/skimage_data/chelsea.png", []),
        (PHOTOS + "000000168974.jpg", [[383, 352, 648, 532]]),
        (PHOTOS + "000000253956.jpg", [[455, 185, 616, 345]]),
        (PHOTOS + "000000256353.jpg",
         [[316, 236, 413, 333], [41, 47, 253, 221], [432, 366, 485, 425], None]),
    ],
)  # fmt: skip
def test_faces_of_photos_are_found_where_they_are(
    real_data: Path, name: str, faces: list[list[int] | None]
) -> None:
    """Looked at: an astronaut, a man with a camera, a cup, a cat, a boy, a man, and a man who holds
    frames in which he is seen again."""
    [boxes] = answers(Faces(), media_records(images(name)), Media(str(real_data)))["boxes"]
    assert len(boxes) == len(faces)
    for found, known in zip(boxes, faces, strict=True):
        assert known is None or found["box"] == pytest.approx(known, abs=10)
        assert found["score"] > 0.5


def test_faces_of_all_images_count_and_name_their_image(real_data: Path) -> None:
    video = {"kind": "video", "uri": "none.mp4"}
    batch = media_records([video, *images(COFFEE, ASTRONAUT)], [video], images(COFFEE))
    found = answers(Faces(), batch, Media(str(real_data)))
    assert found["count"] == [1, None, 0]
    assert [[one["media"] for one in boxes or []] for boxes in found["boxes"]] == [[2], [], []]
    assert found["share"] == [pytest.approx(0.0403, abs=0.004), None, 0]


def test_records_are_dropped_by_number_and_share_of_faces(real_data: Path) -> None:
    batch = media_records(images(ASTRONAUT), images(COFFEE), [])
    media = Media(str(real_data))
    assert answers(Faces(), batch, media)["drop"] == [None, None, None]
    assert answers(Faces(max_count=0), batch, media)["drop"] == ["too many faces", None, None]
    assert answers(Faces(min_count=1), batch, media)["drop"] == [None, "too few faces", None]
    assert answers(Faces(max_share=0.02), batch, media)["drop"] == ["faces too large", None, None]
    with pytest.raises(ValueError, match="min_count 2 is over max_count 1"):
        Faces(min_count=2, max_count=1)


def test_a_turned_photo_is_looked_at_as_it_is_shown(real_data: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(real_data / ASTRONAUT) as image:
        turned = image.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.png", exif=exif)
    [boxes] = answers(Faces(), media_records(images("turned.png")), Media(str(tmp_path)))["boxes"]
    assert boxes[0]["box"] == pytest.approx([355, 114, 527, 347], abs=10)


def test_drawings_of_shapes_and_tiny_images_have_no_faces(tmp_path: Path) -> None:
    shapes = Image.new("RGB", (500, 300), "white")
    draw = ImageDraw.Draw(shapes)
    for number in range(6):
        draw.rectangle([number * 70, 40, number * 70 + 50, 200], "navy")
    shapes.save(tmp_path / "shapes.png")
    Image.new("RGB", (1, 1), "red").save(tmp_path / "tiny.png")
    Image.new("RGB", (3000, 2), "red").save(tmp_path / "long.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    batch = media_records(*(images(f"{n}.png") for n in ("shapes", "tiny", "long", "broken")))
    media = Media(str(tmp_path))
    assert answers(Faces(), batch, media)["count"] == [0, 0, 0, None]
    assert error_kinds(Faces(), batch, media) == [None, None, None, "MediaError"]


def test_faces_do_not_overlap_and_the_best_come_first(real_data: Path) -> None:
    model = CenterFace()
    with Image.open(real_data / PHOTOS / "000000005001.jpg") as image:
        many = model.find(image.convert("RGB"), 640, 0.2)
        fewer = model.find(image.convert("RGB"), 640, 0.5)
    model.close()
    assert len(many.scores) > len(fewer.scores) > 10
    assert (np.diff(many.scores) <= 0).all()
    np.testing.assert_array_equal(many.boxes[: len(fewer.scores)], fewer.boxes)
    assert Found(np.array([[0, 0, 1, 1], [0, 0, 1, 0.5]], np.float32), np.ones(2)).share == 1
