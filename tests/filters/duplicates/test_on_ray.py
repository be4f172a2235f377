"""On Ray, with any number of workers and even if workers die, files are those of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.engine.ray import RayExecutor
from tests.filters.duplicates import planted
from tests.filters.duplicates.test_perceptual_runs import ONE_EACH, SOURCE, chats, images
from tests.filters.duplicates.test_semantic import near_clusters, vectors
from tests.make import write_texts
from tests.runs import file_bytes, row_counts, run_steps

MINHASH: dict[str, Any] = {"by": "minhash", "threshold": 0.7, "bands": 40, "rows": 3}
STEPS: list[dict[str, Any]] = [
    {"tests.engine.pieces:Embed": {}},
    {"duplicates": {"by": "semantic", "embedding": "Embed.vector", "clusters": "Embed.nearest"}},
    {"duplicates": {"by": "text", "index": True}},
    {"duplicates": {**MINHASH, "index": True}},
]
PHASES = ("ranges", "equal", "near", "features", "verified", "members", "apply")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("ray")
    found = vectors(1, 80)
    near = near_clusters(found, 1)
    write_texts(base / "data", planted.texts(1), 5, vector=found.tolist(), nearest=near)
    counts = row_counts(run_steps(base, "inline", *STEPS))
    for name in ("duplicates", "duplicates-2", "duplicates-3"):
        assert counts[name][2]["duplicate"] > 2
    return base


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_writes_the_same_files(ray: None, base: Path, workers: int) -> None:
    out = f"workers-{workers}"
    run_steps(base, out, *STEPS, executor=RayExecutor(workers))
    assert file_bytes(base / out) == file_bytes(base / "inline")


def test_workers_that_die_once_in_each_phase_change_no_file(ray: None, base: Path) -> None:
    markers = base / "markers"
    markers.mkdir()
    place = "tests.filters.duplicates.pieces:Dying"
    step = {place: {**MINHASH, "index": True, "markers": str(markers)}}
    run_steps(base, "alive", step)
    for phase in PHASES:
        (markers / phase).write_text("")
    run_steps(base, "died", step, executor=RayExecutor(2))
    assert list(markers.iterdir()) == []
    assert file_bytes(base / "died") == file_bytes(base / "alive")


def test_images_are_measured_and_removed_the_same_on_ray(ray: None, tmp_path: Path) -> None:
    images(tmp_path / "images")
    many = {
        f"{name} {n}": images * (1 + n % 2) for n in range(4) for name, images in ONE_EACH.items()
    }
    chats(tmp_path / "chats", many, 4)
    steps: list[dict[str, Any]] = [
        {"duplicates": {"by": "sequence", "index": True}},
        {"duplicates": {"by": "image"}},
        {"duplicates": {"by": "perceptual", "distance": 12}},
        {"duplicate_images": {}},
    ]
    run_steps(tmp_path, "inline", *steps, sources=[SOURCE])
    run_steps(tmp_path, "ray", *steps, sources=[SOURCE], executor=RayExecutor(2))
    assert file_bytes(tmp_path / "ray") == file_bytes(tmp_path / "inline")
