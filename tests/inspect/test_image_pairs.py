"""`curate duplicates --pairs`: pairs of images by distance, from the command line to the pixels."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate.cli import FAILED, OK, run
from curate.inspect import image_pairs
from curate.inspect.image_pairs import MAX_BITS, _images, _lowest
from manifests.kernels.look_alike import BYTES, looks
from manifests.kernels.near_pairs import near_pairs
from manifests.run.manifest import PassManifest, load_run
from tests.runs import run_recipe

Capture = pytest.CaptureFixture[str]


def photograph(seed: int) -> Image.Image:
    """Smooth random colours, with detail at several sizes."""
    draw, whole = np.random.default_rng(seed), np.zeros((240, 320, 3))
    for cells in (3, 6, 12):
        coarse = Image.fromarray(draw.integers(0, 256, (cells, cells, 3), np.uint8))
        whole += np.asarray(coarse.resize((320, 240), Image.Resampling.BICUBIC)) / cells
    return Image.fromarray((255 * whole / whole.max()).astype(np.uint8))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over three images, copies of the first (an equal one, a smaller one, one of another
    hue) and a plain one."""
    base = tmp_path_factory.mktemp("pairs")
    (base / "photos").mkdir()
    one = photograph(1)
    images = {"a": one, "b": photograph(2), "c": photograph(3), "equal": one,
              "small": one.resize((160, 120)),
              "plain": Image.new("RGB", (80, 60), "white")}  # fmt: skip
    images["hue"] = Image.merge("RGB", [one.split()[n] for n in (1, 0, 2)])
    for name, image in images.items():
        image.save(base / "photos" / f"{name}.png")
    source = {"name": "photos", "reader": "folder", "path": "photos"}
    run_recipe(base, source, steps=[{"duplicates": {"by": "perceptual"}}])
    return base


def answer(base: Path, capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    with contextlib.chdir(base):
        code = run(["duplicates", "out", *arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_pairs_are_counted_by_distance_and_drawn(base: Path, capsys: Capture) -> None:
    code, out, _ = answer(base, capsys, "--pairs", "gallery", "--json")
    assert code == OK
    found = json.loads(out)
    listed = json.loads((base / "gallery" / "pairs.json").read_text())
    assert (found["images"], found["known"], found["without"], found["equal"]) == (6, 6, 1, 1)
    assert (found["distance"], found["colour_distance"]) == (6, 24.0)
    assert sum(found["pairs"]) == found["drawn"] == len(listed) >= 1
    pairs = {frozenset(Path(o).stem for o in pair["origins"]): pair for pair in listed}
    small = next(pair for names, pair in pairs.items() if "small" in names and "hue" not in names)
    assert small["bits"] <= 6
    assert small["gray_levels"] < 12
    with Image.open(base / "gallery" / small["file"]) as drawn:
        assert drawn.size == (664, 360)
        left, right = (np.asarray(drawn.crop((x, 40, x + 300, 250))).astype(int) for x in (8, 336))
    assert left.std() > 5
    assert right.std() > 5


def test_of_many_images_those_with_the_lowest_keys_are_held(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_recipe(tmp_path, *[{"name": name, "reader": "folder", "path": str(base / "photos")}
                           for name in "abcd"], steps=["image_hash"])  # fmt: skip
    everything = _images(*_hashed(tmp_path))
    keys = everything[2]["key"].to_pylist()
    assert keys == sorted(keys)
    monkeypatch.setattr(image_pairs, "MAX_IMAGES", 3)
    held: list[int] = []

    def lowest(images: list[pa.Table]) -> pa.Table:
        held.append(sum(table.num_rows for table in images))
        return _lowest(images)

    monkeypatch.setattr(image_pairs, "_lowest", lowest)
    with_hash, without, chosen = _images(*_hashed(tmp_path))
    assert (with_hash, without) == everything[:2] == (24, 4)
    assert chosen.equals(everything[2].slice(0, 3).combine_chunks())
    assert max(held) < 24, "never all images at once"


def _hashed(base: Path) -> tuple[str, PassManifest, str]:
    out = str(base / "out")
    return image_pairs._hashed(load_run(out), out)


def test_numbers_are_printed_as_a_table(base: Path, capsys: Capture) -> None:
    code, out, _ = answer(base, capsys, "--pairs", "table", "--each", "1")
    assert code == OK
    assert out.splitlines()[0].split() == ["bits", "pairs", "look", "the", "same", "drawn"]
    assert "6 images compared\n1 of them with the same hash and colours as another image" in out
    assert "1 image without a hash, because of almost no detail" in out
    assert "distance 6, colour_distance 24: of " in out


def test_an_image_that_was_moved_is_named_and_the_rest_is_drawn(
    base: Path, capsys: Capture, tmp_path: Path
) -> None:
    code, _, err = answer(base, capsys, "--pairs", str(tmp_path / "g"), "--base", str(tmp_path))
    assert code == FAILED
    assert "there is no such file" in err
    assert "--base FOLDER" in err
    listed = json.loads((tmp_path / "g" / "pairs.json").read_text())
    assert all(pair["file"] is None and pair["fault"] for pair in listed)


def test_a_run_without_hashes_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "photos").mkdir()
    photograph(1).save(tmp_path / "photos" / "a.png")
    run_recipe(tmp_path, {"name": "photos", "reader": "folder", "path": "photos"}, steps=[])
    code, _, err = answer(tmp_path, capsys, "--pairs", "gallery")
    assert code == FAILED
    assert "no step of this run computed hashes of images" in err
    assert not (tmp_path / "gallery").exists()


def test_pairs_and_samples_are_those_of_every_two_images() -> None:
    draw = np.random.default_rng(1)
    hashes = np.repeat(draw.integers(0, 2**64, 12, np.uint64), 4)
    for bit in range(3):
        hashes ^= (draw.integers(0, 2, 48, np.uint64)) << np.uint64(7 * bit)
    words = np.stack([hashes, draw.integers(0, 2**64, 48, np.uint64)], axis=1)
    colours = draw.integers(0, 256, (2, BYTES), np.uint8)[draw.integers(0, 2, 48)]
    keys = draw.integers(0, 2**64, 48, np.uint64)
    found = near_pairs(looks(np.arange(49), words, colours), keys, 5, 24.0, 3)
    expected: dict[int, list[tuple[int, bool, int, int]]] = {bits: [] for bits in range(6)}
    for a in range(48):
        for b in range(a + 1, 48):
            (x, m), (y, n) = words[a].tolist(), words[b].tolist()
            bits = min((x ^ y).bit_count(), (x ^ n).bit_count(), (m ^ y).bit_count())
            if bits <= 5:
                same = bool((colours[a] == colours[b]).all())
                expected[bits].append((int(keys[a] ^ keys[b]), same, a, b))
    assert found.pairs.tolist() == [len(some) for some in expected.values()]
    assert found.alike.tolist() == [sum(s for _, s, _, _ in some) for some in expected.values()]
    for some, sample in zip(expected.values(), found.sampled, strict=True):
        assert [tuple(pair) for pair in sample.tolist()] == [pair[2:] for pair in sorted(some)[:3]]


def test_only_distances_that_occur_or_may_occur_are_listed(
    base: Path, tmp_path: Path, capsys: Capture
) -> None:
    _, out, _ = answer(base, capsys, "--pairs", str(tmp_path / "a"))
    assert _listed_bits(out) == list(range(0, MAX_BITS + 1, 2))
    (tmp_path / "photos").mkdir()
    draw = np.random.default_rng(1)
    for n in range(30):
        half = draw.integers(0, 256, (32, 16), np.uint8)
        for name in (f"{n}.png", f"{n}-changed.png"):
            whole = np.concatenate([half, half[:, ::-1]], axis=1)  # symmetric: 32 frequencies are 0
            Image.fromarray(whole).save(tmp_path / "photos" / name)
            half[draw.integers(32), draw.integers(16)] ^= 255
    source = {"name": "photos", "reader": "folder", "path": "photos"}
    run_recipe(tmp_path, source, steps=["image_hash"])
    capsys.readouterr()
    _, out, _ = answer(tmp_path, capsys, "--pairs", str(tmp_path / "b"))
    found = _listed_bits(out)
    assert [bits for bits in found if bits % 2]
    assert {*range(0, MAX_BITS + 1, 2)} <= {*found}


def _listed_bits(table: str) -> list[int]:
    return [int(line.split()[0]) for line in table.split("\n\n")[0].splitlines()[2:]]
