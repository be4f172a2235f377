"""`curate clusters`: the clusters of a run, from the command line to the page in a browser."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from curate.cli import FAILED, MISTAKE, OK, run
from curate.commands.run import summary
from curate.commands.text_width import fitted, fitted_end, shown_width
from curate.inspect import clusters
from curate.inspect.cluster_page import SIDE
from manifests.run.manifest import load_run
from tests.make import write_json_lines
from tests.runs import run_recipe

Capture = pytest.CaptureFixture[str]
ATTACK = (
    '<script>document.title="run"</script><img src="x" onerror="document.title=1"> a red "house"'
)
KINDS = {"red": (20, (230, 40, 40)), "blue": (12, (30, 60, 240)), "green": (3, (20, 200, 60))}


def caption(kind: str, number: int) -> str:
    if kind == "green":
        return f"{'浣熊' * 30} {number}" if number else ATTACK
    return f"a {kind} house on the hill {number}"


def write_corpus(base: Path) -> None:
    """Images of one colour each, whose captions name it; only three of them are green. One record
    has no image."""
    draw, rows = np.random.default_rng(0), list[dict[str, str]]()
    for kind, (count, colour) in KINDS.items():
        for number in range(count):
            name = f"{kind}-{number}.png"
            shade = tuple(int(c) for c in np.clip(np.array(colour) + 3 * (number + 1), 0, 255))
            Image.new("RGB", (400 + number, 200), shade).save(base / name)
            rows.append({"caption": caption(kind, number), "image": name})
    draw.shuffle(rows)
    write_json_lines(base / "data.jsonl", rows)
    write_json_lines(base / "texts.jsonl", [{"caption": "a text alone"}])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("clusters")
    write_corpus(base)
    source = {"name": "made", "reader": "table", "path": "data.jsonl", "text": "caption",
              "image": "image", "media_root": "."}  # fmt: skip
    texts = {"name": "texts", "reader": "table", "path": "texts.jsonl", "text": "caption"}
    steps = [
        {"tests.clustering.colour_step:Colours": {}},
        {"words": {"min": 1}},
        {"cluster": {"of": "Colours.vector", "k": 3, "neighbours": 5}},
        {"cluster": {"of": "Colours.vector", "k": 2, "neighbours": 0}},
    ]
    run_recipe(base, source, texts, steps=steps)
    return base


def answer(base: Path, capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    with contextlib.chdir(base):
        code = run(["clusters", "out", *arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def listed(base: Path, capsys: Capture, *arguments: str) -> dict[str, Any]:
    code, out, _ = answer(base, capsys, *arguments, "--json")
    assert code == OK
    found: dict[str, Any] = json.loads(out)
    return found


def test_clusters_are_listed_with_size_density_share_sparse_and_nearest_records(
    base: Path, capsys: Capture
) -> None:
    found = listed(base, capsys)
    assert (found["step"], found["clusters"], found["records"], found["without"]) == (
        "cluster", 3, 35, 1,
    )  # fmt: skip
    assert [row["size"] for row in found["rows"]] == [20, 12, 3]
    assert [row["sparse"] for row in found["rows"]][-1] == 1
    red, blue, green = found["rows"]
    assert green["density"] < blue["density"] < 1
    assert len(red["nearest"]) == 6
    assert [one["distance"] for one in red["nearest"]] == sorted(
        one["distance"] for one in red["nearest"]
    )
    for row, kind in zip(found["rows"], KINDS, strict=True):
        assert {Path(one["image"]["uri"]).name.split("-")[0] for one in row["nearest"]} == {kind}
        assert {one["text"] for one in row["nearest"]} <= {caption(kind, n) for n in range(20)}
    assert found["quality"]["clusters"] == 3


def test_terms_are_those_of_the_cluster_against_the_corpus(base: Path, capsys: Capture) -> None:
    red, blue, green = listed(base, capsys)["rows"]
    assert red["terms"][0] == "red"
    assert blue["terms"][0] == "blue"
    assert "浣熊" in green["terms"]
    assert not {"a", "on", "the", "hill"} & {*green["terms"]}


def test_the_sparsest_clusters_come_first_and_the_limit_cuts(base: Path, capsys: Capture) -> None:
    assert listed(base, capsys, "--sort", "sparsity")["rows"][0]["size"] == 3
    assert len(listed(base, capsys, "--limit", "2")["rows"]) == 2
    assert len(listed(base, capsys, "--limit", "0")["rows"]) == 3
    _, out, _ = answer(base, capsys, "--limit", "2")
    assert "2 of 3 clusters of the step 'cluster', 35 records; 1 record in no cluster" in out


def test_the_table_fits_100_columns_with_wide_characters(base: Path, capsys: Capture) -> None:
    code, out, _ = answer(base, capsys)
    assert code == OK
    assert max(map(shown_width, out.splitlines())) <= 100
    assert "浣熊" * 12 + "浣…" in out
    assert "green-0.png" in out


def test_a_step_is_chosen_by_name_and_may_have_no_density(base: Path, capsys: Capture) -> None:
    found = listed(base, capsys, "--step", "cluster-2", "--sort", "sparsity")
    assert found["step"] == "cluster-2"
    assert [row["sparse"] for row in found["rows"]] == [None, None]
    assert found["rows"][0]["size"] > found["rows"][1]["size"]
    code, out, _ = answer(base, capsys, "--step", "cluster-2")
    assert (code, "None" in out) == (OK, False)


def test_a_wrong_step_and_a_run_without_clusters_are_refused(
    base: Path, capsys: Capture, tmp_path: Path
) -> None:
    code, _, error = answer(base, capsys, "--step", "clsuter")
    assert code == MISTAKE
    assert "Did you mean 'cluster'" in error
    write_json_lines(tmp_path / "data.jsonl", [{"caption": "one"}])
    source = {"name": "made", "reader": "table", "path": "data.jsonl", "text": "caption"}
    run_recipe(tmp_path, source, steps=[])
    code, _, error = answer(tmp_path, capsys)
    assert code == FAILED
    assert "no step of this run made clusters" in error


def test_a_run_names_the_commands_that_list_its_clusters(base: Path) -> None:
    out = str(base / "out")
    last = summary(load_run(out), out).splitlines()[-2:]
    assert [line.strip() for line in last] == [
        f"curate clusters {out} --step {step} --sort sparsity" for step in ("cluster", "cluster-2")
    ]


def images_of(page: str) -> Iterator[Image.Image]:
    for data in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page):
        yield Image.open(io.BytesIO(base64.b64decode(data)))


def test_the_page_has_small_images_and_escaped_texts(base: Path, capsys: Capture) -> None:
    code, _, _ = answer(base, capsys, "--html", "page.html")
    assert code == OK
    page = (base / "page.html").read_text()
    found = list(images_of(page))
    assert len(found) == 6 + 6 + 3
    assert {max(image.size) for image in found} == {SIDE}
    assert "<script" not in page
    assert "onerror=&quot;" in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_an_image_that_was_moved_is_named_and_the_others_are_shown(
    base: Path, capsys: Capture, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path / "moved")
    for image in (tmp_path / "moved").glob("green-*.png"):
        image.unlink()
    arguments = ("--html", str(tmp_path / "page.html"), "--base", str(tmp_path / "moved"))
    code, out, error = answer(base, capsys, *arguments)
    assert code == FAILED
    assert "green-0.png" in error
    assert "--base FOLDER" in error
    assert len(list(images_of((tmp_path / "page.html").read_text()))) == 12
    assert "浣熊" in out


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(BROWSER is None, reason="no chromium: `apt-get install chromium`")
def test_a_browser_shows_the_images_and_runs_no_text(
    base: Path, capsys: Capture, tmp_path: Path
) -> None:
    assert answer(base, capsys, "--html", str(tmp_path / "page.html"))[0] == OK
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,1200",
               f"--user-data-dir={tmp_path / 'profile'}"]  # fmt: skip
    command = [str(BROWSER), *options, f"--screenshot={tmp_path / 'shown.png'}", "page.html"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    pixels = np.asarray(Image.open(tmp_path / "shown.png").convert("RGB")).astype(int)
    for count, colour in KINDS.values():
        near = (abs(pixels - np.array(colour)) < 64).all(axis=2).sum()
        assert near > 0.5 * min(6, count) * SIDE * SIDE / 2, colour
    command = [str(BROWSER), *options, "--dump-dom", "page.html"]
    shown = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert b"<title>Clusters of the step cluster</title>" in shown.stdout


def test_a_text_is_cut_or_filled_to_a_width() -> None:
    assert fitted("red fox", 9) == "red fox  "
    assert fitted("a red fox", 6) == "a red…"
    assert fitted("浣熊在森林", 6) == "浣熊… "
    assert fitted("two\nlines", 20).rstrip() == "two lines"
    assert fitted_end("folder/a/b.jpg", 8) == "…a/b.jpg"
    assert fitted_end("b.jpg", 8) == "b.jpg   "
    assert shown_width("é漢e\u0301") == 4


def test_of_equally_sparse_clusters_the_one_of_lower_density_is_first() -> None:
    sizes, sparse = np.array([10, 10, 0, 10]), np.array([5.0, 5, 0, 1])
    found = clusters._Sums(sizes, np.zeros(4), np.array([9.0, 3, 0, 1]), sparse, 0)
    assert found.order("sparsity").tolist() == [1, 0, 3]
    assert found.order("size").tolist() == [0, 1, 3]


def test_of_equally_near_records_the_lower_ids_are_listed() -> None:
    ids = [f"{number:02}" for number in reversed(range(9))]
    table = pa.table({"cluster_id": [0] * 9, "cluster_distance": [0.5] * 9, "id": ids})
    found = clusters._first_of_each(table)["id"].to_pylist()
    assert found == sorted(ids)[: clusters.NEAREST]
