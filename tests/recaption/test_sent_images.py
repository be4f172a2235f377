"""Images of all kinds as the server gets them: it decodes each one with Pillow alone, as endpoints
do."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.make import make_image, write_json_lines
from tests.recaption.endpoint import Endpoint, reply
from tests.recaption.locate import locate_runs
from tests.recaption.recaption_runs import quarantine, run
from tests.runs import row_counts

RGB = Image.open(io.BytesIO(make_image(200, 100)))
RAMP = np.tile(np.linspace(0, 1, 200), (100, 1))
NOISE = np.random.default_rng(0).integers(0, 255, (1400, 1400, 3), np.uint8)


def encoded(image: Image.Image, kind: str, **settings: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def half_transparent() -> Image.Image:
    """The right half is transparent, with colours that nobody sees."""
    image = RGB.convert("RGBA")
    alpha = Image.new("L", image.size, 0)
    alpha.paste(255, (0, 0, 100, 100))
    image.putalpha(alpha)
    return image


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def sent(base: Path, endpoint: Endpoint, files: dict[str, bytes]) -> dict[str, bytes]:
    """What the server gets for each file, by the name of the file. All others are in quarantine,
    by name."""
    (base / "data" / "images").mkdir(parents=True)
    for name, data in files.items():
        (base / "data" / "images" / name).write_bytes(data)
    rows = [{"caption": name, "image": f"images/{name}"} for name in files]
    write_json_lines(base / "data" / "0.jsonl", rows)
    run(base, endpoint)
    got = {one.raw_text: one.images[0] for one in endpoint.asked}
    failed = " ".join(row["message"] for row in quarantine(base))
    assert all((name in failed) != (name in got) for name in files)
    return got


def seen(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.getexif().get(0x0112, 1) == 1
    assert getattr(image, "n_frames", 1) == 1
    return image.convert("RGB")


GRAY_16 = Image.fromarray((RAMP * 65535).astype(np.uint16))
FRAMES: dict[str, Any] = {"save_all": True, "append_images": [RGB.rotate(180)]}
SENT = {
    "one.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), (1, 1)),
    "long.png": (encoded(Image.new("RGB", (1, 20_000)), "PNG"), (1, 20_000)),
    "cmyk.jpg": (encoded(RGB.convert("CMYK"), "JPEG"), (200, 100)),
    "bits.png": (encoded(RGB.convert("1"), "PNG"), (200, 100)),
    "animated.gif": (encoded(RGB, "GIF", **FRAMES), (200, 100)),
    "animated.webp": (encoded(RGB, "WEBP", **FRAMES), (200, 100)),
    "animated.png": (encoded(RGB, "PNG", **FRAMES), (200, 100)),
    "turned.jpg": (encoded(RGB, "JPEG", exif=turned(6)), (100, 200)),
    "turned.webp": (encoded(RGB, "WEBP", exif=turned(8)), (100, 200)),
    "large.webp": (encoded(Image.fromarray(NOISE), "WEBP", lossless=True), (1024, 1024)),
    "more.jpg": (make_image() + bytes(5000), (64, 48)),
}
NOT_SENT = {
    "cut-off.jpg": make_image(400, 300)[:2500],
    "cut-off.png": encoded(Image.fromarray(NOISE[:100, :100]), "PNG")[:9000],
    "cut-off.webp": encoded(Image.fromarray(NOISE[:300, :300]), "WEBP")[:9000],
    "cut-off-large.jpg": make_image(3000, 2000)[:40_000],
    "large.jpg": encoded(Image.new("L", (12_000, 9000)), "JPEG"),
    "longest.png": encoded(Image.new("L", (200_000, 10)), "PNG"),
    "heic.jpg": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(500),
    "svg.jpg": b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
    "empty.jpg": b"",
}


def test_a_server_can_decode_what_it_gets_and_the_rest_is_quarantined_by_name(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    files = {name: data for name, (data, _) in SENT.items()} | NOT_SENT
    got = sent(tmp_path, endpoint, files)
    assert {name: seen(data).size for name, data in got.items()} == {
        name: size for name, (_, size) in SENT.items()
    }
    assert got["more.jpg"] == SENT["more.jpg"][0]


def test_a_server_sees_16_bits_as_8_and_transparency_as_white(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    """Pillow alone makes white of most grays of 16 bits, and shows the colours under
    transparency."""
    files = {
        "gray.png": encoded(GRAY_16, "PNG"),
        "alpha.png": encoded(half_transparent(), "PNG"),
        "alpha.webp": encoded(half_transparent(), "WEBP", lossless=True),
        "gray-alpha.png": encoded(half_transparent().convert("LA"), "PNG"),
        "palette.png": encoded(half_transparent().quantize(), "PNG"),
    }
    got = {name: np.asarray(seen(data)) for name, data in sent(tmp_path, endpoint, files).items()}
    assert np.abs(got["gray.png"][:, :, 0] - RAMP * 255).max() < 3
    for name in set(files) - {"gray.png"}:
        assert got[name][:, 110:].min() > 240, name
        assert got[name][:, :90].mean() < 200, name


@pytest.mark.parametrize("what", ["boxes", "points"])
def test_a_reply_about_an_image_that_smart_resize_refuses_has_no_place(
    tmp_path: Path, endpoint: Endpoint, what: str
) -> None:
    """Its sides have a ratio over 200, so the model cannot have seen it."""
    numbers = {"bbox_2d": [0, 0, 1, 1], "point_2d": [0, 0]}
    endpoint.answer = lambda asked: reply(json.dumps([{**numbers, "label": "red"}]))
    locate_runs.write(tmp_path, {"a": encoded(Image.new("RGB", (4000, 10)), "PNG")}, files=1)
    step = locate_runs.locate(endpoint, space="pixels_resized", what=what)
    made = locate_runs.run(tmp_path, step)
    assert row_counts(made)["locate"] == (1, 1, {}, {})
    rows = locate_runs.records(tmp_path, made)
    assert rows["a"]["locate.status"] == "outside the image"
