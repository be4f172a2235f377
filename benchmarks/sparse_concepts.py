"""Which formula finds the records of rare concepts among the 10 % that it flags.

    python -m benchmarks.sparse_concepts [--data DIR] [--seeds 40] [--embed embed]

Real images are embedded by a run. For each seed, four concepts are made rare: 3 to 10 of their
images, drawn at random, stay. The step `cluster` then runs on what is left. Printed is the share of
the rare records that each formula flags, the mean over the seeds with its standard error, for
several numbers of clusters and of neighbours; then the share for each concept.

A random flag finds 10 %.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.corpus_step import write_sidecars
from benchmarks.labelled_images import LabelledImage, captioned, other_kinds
from curate import cli
from curate.engine.part_view import PartView
from curate.inspect.part_records import passes_of, records_after
from manifests import record
from manifests.record import media_lists
from manifests.storage import parts

SHARE, RARE, FEWEST, FROM, TO = 0.1, 4, 12, 3, 10
"""The share that is flagged; how many concepts are made rare, of those with FEWEST images or more;
and how many of their images stay."""
ALL = "sparsity by a search of all"
FORMULAS = (
    "sparsity", ALL, "1 - density", "local outlier factor", "distance to the centroid",
    "1 / cluster size", "sparsity / size^0.5", "random",
)  # fmt: skip


class Embedded(NamedTuple):
    """Images with vectors. `concepts` has None for an image of no known concept; `numbers` are the
    positions in the list of images."""

    ids: pa.Array
    vectors: pa.Array
    concepts: np.ndarray
    numbers: np.ndarray

    def only(self, rows: np.ndarray) -> Embedded:
        ids, vectors = (column.take(pa.array(rows)) for column in (self.ids, self.vectors))
        return Embedded(ids, vectors, self.concepts[rows], self.numbers[rows])


def embed(images: Sequence[LabelledImage], step: str, folder: Path) -> Embedded:
    """Runs a recipe with the step over the images."""
    lines = [json.dumps({"image": str(image.path)[1:]}) for image in images]
    (folder / "images.jsonl").write_text("\n".join(lines) + "\n")
    source = {"name": "images", "reader": "table", "path": str(folder / "images.jsonl"),
              "text": [], "image": "image", "media_root": "/"}  # fmt: skip
    recipe = {"name": "embed", "sources": [source], "steps": [{step: {}}]}
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    out = str(folder / "out")
    with contextlib.redirect_stdout(io.StringIO()):
        assert cli.run(["run", str(folder / "recipe.yaml"), "-o", out, "-q", "--inline"]) == cli.OK
    passes = passes_of(out)
    columns = ("id", "media", f"{step}.vector")
    views = [records_after(passes, name, columns) for name in passes[0].commits]
    table = pa.concat_tables(view.read_columns(columns) for view in views).combine_chunks()
    known = {image.path: number for number, image in enumerate(images)}
    uris = media_lists(table["media"])[1].field("uri").to_pylist()
    numbers = np.array([known[Path("/" + uri.lstrip("/"))] for uri in uris])
    concepts = np.array([image.concept for image in images], object)[numbers]
    ids, vectors = (record.one_chunk(table[name]) for name in ("id", f"{step}.vector"))
    return Embedded(ids, vectors, concepts, numbers)


def made_rare(whole: Embedded, seed: int) -> tuple[Embedded, np.ndarray]:
    """Returns the images that stay, and which of them are of a rare concept."""
    draw = np.random.default_rng(seed)
    names, counts = np.unique(whole.concepts[whole.concepts != None], return_counts=True)  # noqa: E711
    stays, rare = np.ones(len(whole.ids), bool), np.zeros(len(whole.ids), bool)
    for concept in draw.choice(names[counts >= FEWEST].astype(str), RARE, replace=False):
        rows = np.flatnonzero(whole.concepts == concept)
        left = draw.choice(rows, draw.integers(FROM, TO + 1), replace=False)
        stays[rows], stays[left], rare[left] = False, True, True
    return whole.only(np.flatnonzero(stays)), rare[stays]


def clustered(images: Embedded, settings: dict[str, Any]) -> pa.Table:
    """Runs the step `cluster`. Returns the columns that it adds."""
    empty = {field.name: pa.nulls(len(images.ids), field.type) for field in record.SCHEMA}
    table = pa.table(empty | {"id": images.ids, "embed.vector": images.vectors})
    with tempfile.TemporaryDirectory() as folder:
        uri = f"{folder}/part-0.arrow"
        parts.write(uri, table.schema, [table])
        view = PartView("part-0", uri, "", table.num_rows, "")
        written = write_sidecars([view], "cluster", settings, folder)
        found = parts.read_columns(f"{written}/{view.name}.arrow")
        return found.rename_columns([name.removeprefix("cluster.") for name in found.column_names])


def scores(images: Embedded, found: pa.Table, neighbours: int, seed: int) -> dict[str, np.ndarray]:
    """Returns for each formula the score of each record; the highest are flagged."""
    own = {name: np.asarray(found[name]) for name in ("id", "distance", "density", "sparsity")}
    sizes = np.bincount(own["id"])[own["id"]].astype(float)
    exact, factors = among_all(images.vectors, neighbours)
    values = (
        own["sparsity"], exact, 1 - own["density"], factors,
        own["distance"], 1 / sizes, own["sparsity"] / np.sqrt(sizes),
        np.random.default_rng(seed).random(len(sizes)),
    )  # fmt: skip
    return dict(zip(FORMULAS, values, strict=True))


def among_all(vectors: pa.Array, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the sparsity by a search of all records, and the local outlier factors (Breunig et
    al. 2000), over distances of 1 - cosine."""
    flat = np.asarray(vectors.flatten()).astype(np.float64).reshape(len(vectors), -1)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    distances = 1 - flat @ flat.T
    np.fill_diagonal(distances, np.inf)
    near = np.argsort(distances, axis=1)[:, :neighbours]
    own = np.take_along_axis(distances, near, axis=1)
    reach = np.maximum(own, own[:, -1][near])
    density = 1 / np.maximum(reach.mean(axis=1), 1e-12)
    return own[:, -1], density[near].mean(axis=1) / density


def is_flagged(score: np.ndarray, seed: int) -> np.ndarray:
    """Returns whether each record has one of the highest scores; of equal scores, random ones."""
    ties = np.random.default_rng(seed + 1).random(len(score))
    flagged = np.zeros(len(score), bool)
    flagged[np.lexsort((ties, -score))[: round(SHARE * len(score))]] = True
    return flagged


def measure(
    whole: Embedded, settings: dict[str, Any], seeds: Iterable[int]
) -> tuple[dict[str, list[float]], dict[str, list[bool]]]:
    """Returns the share of the rare records that each formula finds, for each seed; and for each
    concept, which of its records the sparsity finds."""
    shares, of_concept = defaultdict[str, list[float]](list), defaultdict[str, list[bool]](list)
    for seed in seeds:
        images, rare = made_rare(whole, seed)
        found = clustered(images, settings)
        sparse = np.asarray(found["sparse"])[rare]
        for concept, is_found in zip(images.concepts[rare], sparse.tolist(), strict=True):
            of_concept[concept].append(is_found)
        shares["cluster.sparse"].append(sparse.mean())
        for name, score in scores(images, found, settings["neighbours"], seed).items():
            flagged = is_flagged(score, seed)
            shares[name].append(flagged[rare].mean())
            if name == ALL:
                same = flagged & np.asarray(found["sparse"])
                shares["(of these, are cluster.sparse)"].append(same.sum() / flagged.sum())
    return shares, of_concept


def print_tables(title: str, whole: Embedded, seeds: range) -> None:
    print(f"\n{title}: {len(whole.ids):,} images")
    columns = [(20, 10), (40, 10), (80, 10), (40, 5), (40, 20)]
    found = [measure(whole, {"k": k, "neighbours": n}, seeds) for k, n in columns]
    print(f"{'k / neighbours':30}" + "".join(f"{f'{k} / {n}':>14}" for k, n in columns))
    for name in found[0][0]:
        cells = (np.array(shares[name]) for shares, _ in found)
        texts = (f"{c.mean():.3f} ±{c.std(ddof=1) / len(c) ** 0.5:.3f}" for c in cells)
        print(f"{name:30}" + "".join(f"{text:>14}" for text in texts))
    for concept, flags in sorted(found[1][1].items(), key=lambda one: -np.mean(one[1])):
        print(f"    {concept:12} {np.mean(flags):.2f} of {len(flags)} rare records")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = os.environ.get("CURATE_DATA", "../shared/data")
    parser.add_argument(
        "--data", type=Path, default=Path(usual), help="as CURATE_DATA of the tests"
    )
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--embed", default="embed", help="the step that embeds the images")
    options = parser.parse_args()
    data, seeds = options.data.resolve(), range(options.seeds)
    small = list(captioned(data))
    with tempfile.TemporaryDirectory() as folder:
        whole = embed([*small, *other_kinds(data)], options.embed, Path(folder))
    first = whole.numbers < len(small)
    known = whole.concepts != None  # noqa: E711
    print_tables("captions and grounding", whole.only(np.flatnonzero(first & known)), seeds)
    print_tables("with images of no known concept", whole.only(np.flatnonzero(first)), seeds)
    print_tables("dishes, receipts and words too", whole.only(np.flatnonzero(known)), seeds)


if __name__ == "__main__":
    main()
