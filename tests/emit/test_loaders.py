"""`datasets` and PyTorch load the shards without a conversion."""

from __future__ import annotations

import importlib.util
import io
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.emit.records import IMAGES, captioned, medium, records, row, tar, text, write_all

datasets = pytest.importorskip("datasets", reason="`datasets` is not installed")
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    table = captioned(tmp_path, 60)
    write_all("arrow", tmp_path, table, 3)
    return str(tmp_path / "out")


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.tobytes()


def caption_number(example: dict[str, Any]) -> int:
    """The number in the caption, which is also the number of the image."""
    return int(example["messages"][1]["content"][0]["text"].split()[1])


def test_load_from_disk_maps_all_shards_and_decodes_the_images(folder: str) -> None:
    loaded = datasets.load_from_disk(folder)
    assert (loaded.num_rows, str(loaded.split)) == (60, "train")
    assert loaded.features["images"] == datasets.List(datasets.Image())
    assert [f["filename"] for f in loaded.cache_files] == [
        os.path.join(folder, f"data-{n:05d}-of-00003.arrow") for n in range(3)
    ]
    for example in loaded:
        (image,) = example["images"]
        assert image.tobytes() == pixels(IMAGES[caption_number(example) % 3])
    assert {caption_number(example) for example in loaded} == set(range(60))


def test_from_file_of_one_shard_decodes_the_images(folder: str) -> None:
    loaded = datasets.Dataset.from_file(os.path.join(folder, "data-00001-of-00003.arrow"))
    assert loaded.features["images"] == datasets.List(datasets.Image())
    for example in loaded:
        assert example["images"][0].tobytes() == pixels(IMAGES[caption_number(example) % 3])


def test_every_column_has_the_features_of_its_type(tmp_path: Path) -> None:
    import pyarrow as pa

    table = captioned(tmp_path, 5).append_column("x.half", pa.array([0.5] * 5, pa.float16()))
    vectors = pa.array([[1.0, 2.0]] * 5, pa.list_(pa.float16(), 2))
    table = table.append_column("embed.vector", vectors)
    columns = ["x.half", "embed.vector"]
    write_all("arrow", tmp_path, table, columns=columns)
    loaded = datasets.load_from_disk(str(tmp_path / "out"))
    arrow = loaded.data.schema
    assert loaded.features.arrow_schema.remove_metadata() == arrow.remove_metadata()
    assert loaded[0]["x.half"] == 0.5
    assert list(loaded[0]["embed.vector"]) == [1.0, 2.0]


def test_no_rows_and_empty_shards_are_loaded(tmp_path: Path) -> None:
    table = captioned(tmp_path, 2)
    write_all("arrow", tmp_path, table, 9)
    assert datasets.load_from_disk(str(tmp_path / "out")).num_rows == 2
    write_all("arrow", tmp_path, table.slice(0, 0), 1)
    loaded = datasets.load_from_disk(str(tmp_path / "out"))
    assert loaded.num_rows == 0
    assert "images" in loaded.features


def test_records_with_several_images_or_none_are_loaded(tmp_path: Path) -> None:
    media = tar(tmp_path / "in.tar", IMAGES)
    objects = [{"label": "猫", "media": 1, "box": [1.0, 2.0, 3.0, 4.0]}]
    table = records(
        row("a", [medium(0), medium(2), text("<image>")], *media, objects=objects),
        row("b", [text("only")]),
    )
    write_all("arrow", tmp_path, table)
    examples = {e["origin"]: e for e in datasets.load_from_disk(str(tmp_path / "out"))}
    assert [i.tobytes() for i in examples["in#a"]["images"]] == [
        pixels(IMAGES[0]), pixels(IMAGES[2])
    ]  # fmt: skip
    assert examples["in#a"]["objects"][0]["label"] == "猫"
    assert examples["in#b"]["images"] == []


def _numbers(examples: list[dict[str, Any]]) -> list[tuple[int, bytes]]:
    return [(caption_number(example), example["images"][0].tobytes()) for example in examples]


@needs_torch
def test_a_dataloader_with_two_workers_and_shuffle_sees_every_row_once(folder: str) -> None:
    import torch

    loader = torch.utils.data.DataLoader(
        datasets.load_from_disk(folder),
        batch_size=8,
        shuffle=True,
        num_workers=2,
        collate_fn=_numbers,
        generator=torch.Generator().manual_seed(0),
    )
    seen = [pair for batch in loader for pair in batch]
    assert Counter(n for n, _ in seen) == Counter(range(60))
    assert all(data == pixels(IMAGES[n % 3]) for n, data in seen)
