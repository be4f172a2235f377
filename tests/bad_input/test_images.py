"""Images that are broken, too large, or none."""

from __future__ import annotations

import re
import resource
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from tests.bad_input.inputs import GOOD, LINES, PHOTOS, PHOTOS_KEPT, REPLACE, ROWS, write_lines
from tests.ingest.captions.test_webdataset_faults import bomb
from tests.make import make_image
from tests.runs import FinishedRun, Quarantined, read_run, run_recipe, write_recipe


def test_an_image_cut_in_half_is_quarantined_by_image_decodes(photos: Path) -> None:
    whole = make_image(640, 480, 9)
    (photos / "data/half.jpg").write_bytes(whole[: len(whole) // 2])
    made = run_recipe(photos, PHOTOS, steps=[{"image_decodes": {}}])
    assert made.accounts == {
        "read photos": (4, 4, {}, {}),
        "image_decodes": (4, 3, {}, {"MediaError": 1}),
        "write arrow": (3, 3, {}, {}),
    }
    (lost,) = made.quarantine
    assert lost[:3] == ("data/half.jpg", "image_decodes", "MediaError")
    pattern = (
        r"data/half\.jpg: the image cannot be decoded: OSError: image file is truncated "
        r"\(\d+ bytes not processed\)\. "
    )
    assert re.fullmatch(pattern + re.escape(REPLACE), lost.message)
    assert made.captions == PHOTOS_KEPT


def test_an_image_whose_header_is_cut_is_quarantined_at_reading(photos: Path) -> None:
    (photos / "data/head.jpg").write_bytes(make_image(640, 480, 9)[:100])
    made = run_recipe(photos, PHOTOS)
    assert made.accounts["read photos"] == (4, 3, {}, {"MediaError": 1})
    fault = "the image is truncated: its 100 bytes end before its width and height."
    message = f".jpg file: {fault} {REPLACE}"
    assert made.quarantine == [Quarantined("data/head.jpg", "read photos", "MediaError", message)]
    assert made.captions == PHOTOS_KEPT


def over(what: str, limit: str) -> str:
    return f"{what}. Raise media.{limit}, or leave the file in quarantine."


def test_a_decompression_bomb_is_quarantined_unopened(photos: Path) -> None:
    (photos / "data/bomb.png").write_bytes(bomb())
    made = run_recipe(photos, PHOTOS, steps=[{"image_decodes": {}}])
    assert made.accounts["read photos"] == (4, 3, {}, {"LimitError": 1})
    message = over(".png file: 120000 x 90000 pixels is over the limit of 89478485", "max_pixels")
    assert made.quarantine == [Quarantined("data/bomb.png", "read photos", "LimitError", message)]
    assert made.captions == PHOTOS_KEPT


def test_the_limits_of_media_are_the_recipe_s(photos: Path) -> None:
    frames = [make_image(8, 8, seed) for seed in range(3)]
    (photos / "data/moving.gif").write_bytes(animated(frames))
    (photos / "data/wide.jpg").write_bytes(make_image(80, 60))
    (photos / "data/heavy.png").write_bytes(make_image(60, 60, kind="PNG") + bytes(9999))
    limits = {"max_frames": 2, "max_pixels": 4000, "max_bytes": 9999}
    write_lines(photos, ROWS[0], {"file": "heavy.png", "caption": "Too heavy."})
    made = run_recipe(photos, PHOTOS, LINES, media=limits, steps=[{"image_decodes": {}}])
    heavy = (photos / "data/heavy.png").stat().st_size
    moving = "data/moving.gif"
    assert made.quarantine == [
        Quarantined("data/a.jsonl#2", "read lines", "LimitError",
             over(f"data/heavy.png: {heavy} bytes is over the limit of 9999", "max_bytes")),
        Quarantined("data/heavy.png", "read photos", "LimitError",
             over(f".png file: {heavy} bytes is over the limit of 9999", "max_bytes")),
        Quarantined(moving, "image_decodes", "LimitError",
             over(f"{moving}: 3 frames is over the limit of 2", "max_frames")),
        Quarantined("data/wide.jpg", "read photos", "LimitError",
             over(".jpg file: 80 x 60 pixels is over the limit of 4000", "max_pixels")),
    ]  # fmt: skip
    assert made.captions == PHOTOS_KEPT | {"data/a.jsonl#1": GOOD[0]}


def animated(frames: list[bytes]) -> bytes:
    import io

    from PIL import Image

    first, *others = (Image.open(io.BytesIO(frame)) for frame in frames)
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=others)
    return out.getvalue()


def _gif(*frames: tuple[int, int]) -> bytes:
    """A GIF of 1 x 1 pixels whose frames say they have other sizes."""
    pixel = b"\x00\x02\x02\x44\x01\x00"
    descriptors = (b"\x2c" + struct.pack("<HHHH", 0, 0, *size) + pixel for size in frames)
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0)
        + bytes(6)
        + b"".join(descriptors)
        + b";"
    )


def ran_in_four_gigabytes(base: Path) -> FinishedRun:
    """Photos decoded in a process of its own, whose memory is bounded."""
    write_recipe(base, PHOTOS, steps=[{"image_decodes": {}}])
    command = [sys.executable, "-m", "curate", "run", "recipe.yaml", "-o", "out", "--inline"]
    bound = (4 << 30, 4 << 30)
    subprocess.run(command, cwd=base, check=True, capture_output=True,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, bound))  # fmt: skip
    return read_run(base / "out")


def test_a_later_frame_of_any_size_is_never_opened(photos: Path) -> None:
    (photos / "data/made.gif").write_bytes(_gif((1, 1), (60_000, 60_000)))
    made = ran_in_four_gigabytes(photos)
    assert (made.quarantine, made.captions) == ([], PHOTOS_KEPT | {"data/made.gif": None})


def test_the_bombs_of_pillow_s_own_tests_do_no_harm(photos: Path, real_data: Path) -> None:
    bombs = sorted((real_data / "hostile/pillow").glob("decompression_bomb*.gif"))
    for path in bombs:
        shutil.copy(path, photos / "data")
    screen, extents = (f"data/{path.name}" for path in bombs)
    made = ran_in_four_gigabytes(photos)
    message = over(".gif file: 65535 x 66601 pixels is over the limit of 89478485", "max_pixels")
    assert made.quarantine == [Quarantined(screen, "read photos", "LimitError", message)]
    assert made.captions == PHOTOS_KEPT | {extents: None}
