"""Neighbour quality and cost of embeddings of images: `python -m benchmarks.embeddings`.

The steps `embed` and `embed_patches` run on real images (the folder CURATE_DATA): photos of COCO,
whose labels are sets of categories, and 500 figures of OpenStax, whose label is their book. For
each image the 5 nearest others by cosine are found. Quality is the mean Jaccard index of the sets
of categories, or the share of neighbours of the same book; `chance` is the mean over all pairs. The
baseline is the image reduced to 8 x 8 pixels of RGB. Vectors are compared as they are, and with the
mean vector subtracted.

`--gpu` measures images a second of `embed` on a CPU core and on a GPU instead.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from clustering.embed import patches
from clustering.embed.image_model import efficientnet_lite0
from clustering.embed.thumbnail import SIDE
from manifests import record
from manifests.step import Worker
from tests.make import make_image
from tests.runs import order_pass, part_tables, run_engine

DATA = Path(os.environ.get("CURATE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FIGURES, NEIGHBOURS = 500, 5
STEPS: dict[str, tuple[dict[str, Any], str]] = {
    "EfficientNet-lite0 (embed)": ({"embed": {}}, "embed.vector"),
    "patches and colours (embed_patches)": ({"embed_patches": {}}, "embed_patches.vector"),
}


class Labelled(NamedTuple):
    """Image files, and for each pair of images how much their labels have in common, 0 to 1."""

    files: list[Path]
    similarity: np.ndarray


def photos() -> Labelled:
    folder = DATA / "grounding/coco_permissive"
    labels: dict[str, set[int]] = {}
    for path in sorted((folder / "annotations").glob("*instances*")):
        content = json.loads(path.read_text())
        names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
        for one in content["annotations"]:
            labels.setdefault(names[one["image_id"]], set()).add(one["category_id"])
    files = [f for f in sorted((folder / "images").iterdir()) if f.name in labels]
    sets = [labels[f.name] for f in files]
    jaccard = [[len(a & b) / len(a | b) for b in sets] for a in sets]
    return Labelled(files, np.array(jaccard))


def figures() -> Labelled:
    files = sorted(p for p in (DATA / "captions/openstax").glob("*/*") if p.suffix == ".jpg")
    files = sorted(random.Random(0).sample(files, FIGURES))
    books = np.array([path.parent.name for path in files])
    return Labelled(files, (books[:, None] == books).astype(float))


def quality(vectors: np.ndarray, similarity: np.ndarray, centred: bool) -> float:
    vectors = vectors.astype(np.float64)
    if centred:
        vectors = vectors - vectors.mean(axis=0)
    unit = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    near = np.argsort(-cosine, axis=1, kind="stable")[:, :NEIGHBOURS]
    return float(np.take_along_axis(similarity, near, axis=1).mean())


def chance(similarity: np.ndarray) -> float:
    return float(similarity[~np.eye(len(similarity), dtype=bool)].mean())


def embedded(files: list[Path], step: dict[str, Any], column: str) -> np.ndarray:
    """The vectors of the files, by a run of the step."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        lines = [
            json.dumps({"text": str(n), "image": str(f.relative_to(DATA))})
            for n, f in enumerate(files)
        ]
        (base / "files.jsonl").write_text("\n".join(lines))
        source = {"name": "files", "reader": "table", "path": "files.jsonl", "text": "text",
                  "image": "image", "media_root": str(DATA)}  # fmt: skip
        recipe = {"name": "embeddings", "seed": 1, "sources": [source], "steps": [step]}
        made = run_engine(recipe, base, base / "out")
        table = pa.concat_tables(part_tables(base / "out", order_pass(made), ("content", column)))
    numbers = np.array(record.texts(table["content"]).to_pylist(), int)
    vectors = np.empty((len(files), table[column].type.list_size), np.float64)
    vectors[numbers] = np.array(table[column].to_pylist())
    return vectors


def colours(files: list[Path]) -> np.ndarray:
    """The baseline: RGB values of 8 x 8 pixels."""
    small = [Image.open(f).convert("RGB").resize((8, 8), Image.Resampling.BOX) for f in files]
    return np.stack([np.asarray(image, np.float64).ravel() for image in small])


def cpu_ms(work: Callable[[], object], count: int) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) / count * 1e3


def costs() -> None:
    """Print CPU time of one image, of each part of the work."""
    files = figures().files[:64]
    model = efficientnet_lite0(Worker(""))
    images = [Image.open(file).convert("RGB") for file in files]
    prepared = [model.prepare(image) for image in images]
    small = [np.asarray(image.resize((SIDE, SIDE)), np.uint8) for image in images]
    fitted = patches.fit(np.stack(small), 1)
    print("\nCPU milliseconds an image, decoding not included")
    print(f"  embed, preprocessing       {cpu_ms(lambda: [*map(model.prepare, images)], 64):.2f}")
    print(f"  embed, model               {cpu_ms(lambda: model.embed(prepared), 64):.2f}")
    print(f"  embed_patches, features    {cpu_ms(lambda: [*map(fitted.vector, small)], 64):.2f}")
    print(f"  embed_patches, fit of 64   {cpu_ms(lambda: patches.fit(np.stack(small), 1), 1):.0f}")


def neighbours() -> None:
    corpora = {"COCO, Jaccard": photos(), "OpenStax, same book": figures()}
    print(f"{'mean of the 5 nearest':<38}" + "".join(f"{name:>24}" for name in corpora))
    print(f"{'':<38}" + f"{'as is   centred':>24}" * len(corpora))
    found = [f"{chance(one.similarity):.3f}" for one in corpora.values()]
    print(f"{'chance':<38}" + "".join(f"{value:>24}" for value in found))
    rows: dict[str, Callable[[list[Path]], np.ndarray]] = {"8 x 8 pixels of colour": colours}
    for name, (step, column) in STEPS.items():
        rows[name] = partial(embedded, step=step, column=column)
    for name, vectors_of in rows.items():
        line = ""
        for corpus in corpora.values():
            vectors = vectors_of(corpus.files)
            both = (quality(vectors, corpus.similarity, centred) for centred in (False, True))
            line += "{:>16.3f} {:>7.3f}".format(*both)
        print(f"{name:<38}{line}", flush=True)


def throughput(rows: int) -> None:
    """Print images a second of the packaged model on one CPU thread and on a GPU, for images that
    are prepared, and for JPEG files of 640 x 480 pixels that are decoded and prepared first."""
    files = [make_image(640, 480, number) for number in range(8)]
    for gpus in (0.0, 1.0):
        model = efficientnet_lite0(Worker("", gpus))
        image = _decoded(files[0])
        prepared = [model.prepare(image)] * 256
        model.embed(prepared)  # the first run chooses kernels
        start = time.perf_counter()
        for _ in range(rows // 256):
            model.embed(prepared)
        alone = rows // 256 * 256 / (time.perf_counter() - start)
        start = time.perf_counter()
        for first in range(0, rows // 4, 64):
            model.embed([model.prepare(_decoded(files[n % 8])) for n in range(first, first + 64)])
        whole = -(-(rows // 4) // 64) * 64 / (time.perf_counter() - start)
        where = "GPU" if gpus else "CPU, one thread"
        print(f"{where:<16} model alone {alone:8.0f} images/s, with decoding {whole:8.0f} images/s")
        model.close()


def _decoded(data: bytes) -> Image.Image:
    import io

    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (256, 256))
    return image.convert("RGB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="compare a CPU thread and a GPU")
    parser.add_argument("--rows", type=int, default=2048, help="images of the comparison")
    options = parser.parse_args()
    if options.gpu:
        throughput(options.rows)
        return
    neighbours()
    costs()


if __name__ == "__main__":
    main()
