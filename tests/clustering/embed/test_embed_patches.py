"""Embeddings of images without a trained model: what they find, and that they are reproducible."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from benchmarks.embeddings import colours, embedded, figures, photos, quality
from clustering.embed import patches
from clustering.embed.embed_patches import EmbedPatches
from clustering.embed.thumbnail import BYTES, SIDE, Thumbnail
from manifests.media import Media
from tests.filters.corpus_steps import MemoryCorpus, decide
from tests.filters.rows import answers, error_kinds, media_records
from tests.make import make_image, write_captions
from tests.runs import caption_recipe, run_engine

STEP = {"embed_patches": {}}


def thumbnails(count: int) -> pa.Table:
    """Records with thumbnails; every fifth record has none."""
    images = [Image.open(io.BytesIO(make_image(80, 60, n))).resize((SIDE, SIDE)) for n in range(9)]
    pixels = [np.roll(np.asarray(images[n % 9]), n, axis=1).tobytes() for n in range(count)]
    found = [None if n % 5 == 0 else data for n, data in enumerate(pixels)]
    ids = [hashlib.md5(str(n).encode()).hexdigest() for n in range(count)]
    return pa.table({"id": ids, "thumbnail.pixels": pa.array(found, pa.binary(BYTES))})


def vectors(*tables: pa.Table, seed: int = 1, **settings: Any) -> dict[str, Any]:
    """The vector of each record, by its id."""
    found: dict[str, Any] = {}
    for part, outcome in decide(EmbedPatches(**settings), MemoryCorpus(tables), seed):
        column = outcome.columns["vector"]
        assert column.type == pa.list_(pa.float16(), patches.WIDTH)
        found |= dict(zip(tables[part.number]["id"].to_pylist(), column.to_pylist(), strict=True))
    return found


def test_vectors_do_not_depend_on_the_parts_of_the_corpus() -> None:
    table = thumbnails(40)
    one = vectors(table, sample=20)
    pieces = [table.slice(25), table.slice(0, 0), table.slice(3, 22), table.slice(0, 3)]
    assert vectors(*pieces, sample=20) == one
    assert sum(vector is None for vector in one.values()) == 8
    assert vectors(table, seed=2, sample=20) != one
    assert vectors(table, sample=19) != one


def test_a_corpus_without_images_has_no_vectors() -> None:
    assert list(vectors(thumbnails(1)).values()) == [None]


def test_one_image_is_enough_to_fit() -> None:
    none, found = vectors(thumbnails(2)).values()
    assert none is None
    assert np.isfinite(found).all()


def test_a_thumbnail_is_the_first_image_as_it_is_shown(tmp_path: Path) -> None:
    left = Image.new("RGB", (200, 100), "red")
    left.paste("blue", (100, 0, 200, 100))
    exif = Image.Exif()
    exif[0x0112] = 3
    left.save(tmp_path / "left.png")
    left.save(tmp_path / "turned.png", exif=exif)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    names = (["left.png", "turned.png"], ["turned.png"], [], ["broken.png"])
    batch = media_records(*([{"kind": "image", "uri": n} for n in row] for row in names))
    media = Media(str(tmp_path), side=SIDE)
    first, turned, none, broken = answers(Thumbnail(), batch, media)["pixels"]
    assert (none, broken) == (None, None)
    assert error_kinds(Thumbnail(), batch, media) == [None, None, None, "MediaError"]
    shown = np.frombuffer(first, np.uint8).reshape(SIDE, SIDE, 3)
    assert shown[5, 2].tolist() == [255, 0, 0]
    assert shown[5, -2].tolist() == [0, 0, 255]
    other = np.frombuffer(turned, np.uint8).reshape(SIDE, SIDE, 3)
    np.testing.assert_allclose(other, shown[::-1, ::-1], atol=2)


def test_vectors_have_two_parts_of_fixed_lengths() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (70, SIDE, SIDE, 3)).astype(np.uint8)
    fitted = patches.fit(images, 3)
    vector = fitted.vector(images[0])
    assert vector.shape == (patches.WIDTH,)
    lengths = [np.linalg.norm(part) for part in np.split(vector, [patches.COMPONENTS])]
    assert lengths == pytest.approx([1, 0.5], abs=1e-5)
    for one, other in zip(fitted.dictionary, patches.fit(images, 3).dictionary, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("corpus", "least"), [(photos, 0.1), (figures, 0.38)])
def test_neighbours_are_better_than_those_of_small_colour_images(
    real_data: Path, corpus: Any, least: float
) -> None:
    """Known: 0.103 and 0.396; of small colour images 0.086 and 0.256."""
    labelled = corpus()
    found = embedded(labelled.files, STEP, "embed_patches.vector")
    assert quality(found, labelled.similarity, False) > least
    assert quality(colours(labelled.files), labelled.similarity, False) < least


def test_a_changed_sample_does_not_decode_again(tmp_path: Path) -> None:
    write_captions(tmp_path / "data", files=1, rows=8)
    out = tmp_path / "out"

    def run(sample: int) -> dict[Path, int]:
        steps = [{"embed_patches": {"sample": sample}}]
        run_engine(caption_recipe(steps=steps), tmp_path, out)
        return {file: file.stat().st_mtime_ns for file in out.glob("steps/*thumbnail*/part-*")}

    first = run(5)
    assert first
    assert run(6) == first
