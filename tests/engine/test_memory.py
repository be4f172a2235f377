"""A run needs less than 1 GiB of memory, whatever one line, image, row group or tar has in it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curate import cli
from manifests.run.manifest import RunManifest, load_run
from tests.make import make_image
from tests.runs import write_recipe

pytestmark = pytest.mark.slow
LIMIT = (1 << 30) * 11 // 10
"""1 GiB, and a tenth for what differs between runs: the largest input takes 960 to 1070 MiB."""
MEASURED = """
import os, sys
command = [sys.executable, "-m", "curate", *"run recipe.yaml -o out --inline -q".split()]
_, status, used = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, command), 0)
print(used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A process of its own between the test and the run: the largest memory of a process is at least
that of the process that started it, and a test holds its input."""
WORDS: list[Any] = [{"words": {"min": 1}}]


def _run(base: Path, source: dict[str, Any], steps: list[Any], **settings: Any) -> RunManifest:
    """Run a recipe in a process of its own, and check its largest resident memory."""
    write_recipe(base, {"name": "s", **source}, steps=steps, **settings)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED], cwd=base, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == cli.OK, done.stderr
    kibibytes = int(done.stdout.splitlines()[-1])
    assert kibibytes * 1024 < LIMIT, f"{kibibytes >> 10} MiB"
    return load_run(str(base / "out"))


def _texts(base: Path, rows: int, **options: Any) -> dict[str, Any]:
    noise = np.random.default_rng(1).integers(97, 123, 5_000_000, np.uint8).tobytes().decode()
    at = np.random.default_rng(2).integers(0, 4_900_000, rows).tolist()
    texts = pa.array([noise[start : start + 100_000] for start in at])
    pq.write_table(pa.table({"t": texts}), base / "a.parquet", row_group_size=rows, **options)
    return {"reader": "table", "path": "a.parquet", "text": "t"}


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16"])
def test_an_image_at_the_limit_of_pixels(tmp_path: Path, mode: str) -> None:
    (tmp_path / "in").mkdir()
    image = Image.new(mode, (9459, 9459))
    transparency = {"transparency": 0} if mode == "P" else {}
    image.save(tmp_path / "in" / "a.png", compress_level=1, **transparency)
    (tmp_path / "in" / "a.txt").write_text("a large one")
    del image
    steps: list[Any] = [{"image_decodes": {}}, {"image_hash": {}}]
    made = _run(tmp_path, {"reader": "folder", "path": "in"}, steps)
    assert made.ledger[-1].kept == 1


def test_an_image_over_the_limit_is_not_decoded(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows, packer = b"\0" + b"\x40\x80\x20" * 30_000, zlib.compressobj(1)
    data = b"".join(packer.compress(rows) for _ in range(30_000)) + packer.flush()
    (tmp_path / "in" / "a.png").write_bytes(_png(30_000, 30_000, data))
    (tmp_path / "in" / "b.png").write_bytes(make_image(kind="PNG"))
    steps: list[Any] = [{"image_decodes": {}}]
    made = _run(tmp_path, {"reader": "folder", "path": "in"}, steps, max_quarantined=1)
    assert made.ledger[0].quarantined == {"LimitError": 1}


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + check

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    header = chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0]))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_lines_over_and_at_the_limit(tmp_path: Path) -> None:
    with open(tmp_path / "t.jsonl", "w") as file:
        for words in (1, 60_000_000, 1, 13_000_000, 1):
            file.write(json.dumps({"t": "word " * words}) + "\n")
    source = {"reader": "table", "path": "t.jsonl", "text": "t"}
    made = _run(tmp_path, source, [*WORDS, {"character_repetition": {"n": 10}}])
    assert (made.ledger[0].kept, made.ledger[0].quarantined) == (4, {"RowError": 1})


def test_a_tar_with_many_members(tmp_path: Path) -> None:
    image = make_image(8, 8)
    with open(tmp_path / "a.tar", "wb", buffering=1 << 22) as file:
        for number in range(150_000):
            for ending, data in (("jpg", image), ("txt", b"a fine car")):
                member = tarfile.TarInfo(f"{number:08d}.{ending}")
                member.size = len(data)
                file.write(member.tobuf(tarfile.USTAR_FORMAT) + data + b"\0" * (-len(data) % 512))
        file.write(b"\0" * 10240)
    made = _run(tmp_path, {"reader": "webdataset", "path": "a.tar"}, WORDS)
    assert made.ledger[-1].kept == 150_000


def test_a_row_group_of_long_texts(tmp_path: Path) -> None:
    source = _texts(tmp_path, 7000, use_dictionary=False, compression="snappy")
    assert _run(tmp_path, source, WORDS).ledger[-1].kept == 7000


def test_a_row_group_that_repeats_long_texts(tmp_path: Path) -> None:
    texts = pa.array(["x" * 100_000] * 12_000)
    pq.write_table(pa.table({"t": texts}), tmp_path / "a.parquet", row_group_size=12_000)
    del texts
    source = {"reader": "table", "path": "a.parquet", "text": "t"}
    assert _run(tmp_path, source, WORDS).ledger[-1].kept == 12_000


def test_a_row_group_of_images(tmp_path: Path) -> None:
    image, noise = make_image(), [os.urandom(100_000) for _ in range(100)]
    rows = [{"bytes": image + noise[n % 100], "path": "a.jpg"} for n in range(7000)]
    table = pa.table({"image": rows, "caption": ["a car here"] * 7000})
    del rows
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=7000, use_dictionary=False)
    del table
    made = _run(tmp_path, {"reader": "hf_parquet", "path": "a.parquet"}, [{"words": {"min": 20}}])
    assert made.ledger[0].kept == 7000


def test_a_source_where_every_line_fails(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"t": "a fine caption"}\n' + '{"x": 1\n' * 100_000)
    source = {"reader": "table", "path": "t.jsonl", "text": "t"}
    made = _run(tmp_path, source, [], max_quarantined=10**9)
    assert made.ledger[0].quarantined == {"RowError": 100_000}


def test_many_images_in_a_batch(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(60):
        out = io.BytesIO()
        Image.new("RGB", (2500, 2000), (number, 9, 9)).save(out, "PNG", compress_level=1)
        (tmp_path / "in" / f"{number}.png").write_bytes(out.getvalue())
    steps: list[Any] = [{"image_decodes": {}}, {"image_hash": {}}]
    assert _run(tmp_path, {"reader": "folder", "path": "in"}, steps).ledger[-1].kept == 60
