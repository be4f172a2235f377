"""What the documentation shows works as shown."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from curate import catalog, recipe
from curate.cli import OK
from curate.cli import run as command
from docs.generator.regions import pages
from manifests.media import Media
from manifests.record import texts as texts_of
from manifests.run.manifest import load_run
from recaption.prompts import Prompt
from tests.filters.rows import answers, media_records
from tests.make import write_captions, write_texts
from tests.recaption.endpoint import Endpoint, reply
from tests.runs import (
    caption_recipe,
    order_pass,
    part_tables,
    read_run,
    row_counts,
    run_engine,
    text_recipe,
    text_source,
)

ROOT = Path(__file__).parents[1]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S)


def recipes(page: str) -> list[dict[str, Any]]:
    return [yaml.safe_load(text) for text in blocks(page, "yaml")]


WRITE_A_STEP = "docs/write-a-step.md"


@pytest.fixture
def mysteps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that the page on writing steps shows piece by piece; `tmp_path` has captions."""
    pieces = [text for text in blocks(WRITE_A_STEP, "python") if not text.startswith("# test_")]
    (tmp_path / "mysteps.py").write_text("\n\n".join(pieces))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mysteps", raising=False)
    write_captions(tmp_path / "data", files=1, rows=8)
    return importlib.import_module("mysteps")


def test_the_recipe_of_the_page_on_writing_steps_keeps_rows(
    mysteps: ModuleType, tmp_path: Path
) -> None:
    with open(tmp_path / "data" / "000.jsonl", "a") as out:
        out.write('{"caption": "Why? Who? Where is it now, tell me?", "image": "images/0.jpg"}\n')
        out.write('{"caption": "An image that is not there", "image": "images/gone.jpg"}\n')
    (steps,) = (found["steps"] for found in recipes(WRITE_A_STEP) if "name" not in found)
    made = run_engine(caption_recipe(steps=steps), tmp_path, tmp_path / "out")
    counts = row_counts(made)
    assert counts["Questions"] == (9, 8, {"too many questions": 1}, {})
    assert counts["Sharpness"] == (8, 8, {}, {})
    assert counts["Longest"] == (8, 5, {"shorter": 3}, {})
    assert counts["Thumbnails"] == (5, 5, {}, {})
    assert len(read_run(tmp_path / "out").rows) == 5


def test_texts_of_equal_length_are_kept_or_dropped_together(
    mysteps: ModuleType, tmp_path: Path
) -> None:
    write_texts(tmp_path / "texts", ["a long text", "short", "brief", "plain"])
    kept = {}
    for share in (0.25, 0.5, 1):
        recipe = text_recipe({"mysteps:Longest": {"share": share}}, sources=[text_source("texts")])
        run_engine(recipe, tmp_path, tmp_path / "out")
        kept[share] = len(read_run(tmp_path / "out").rows)
    assert kept == {0.25: 1, 0.5: 4, 1: 4}


def test_the_least_sharp_image_decides_also_if_its_sharpness_is_zero(
    mysteps: ModuleType, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 48), "red").save(tmp_path / "plain.png")
    plain, sharp = ({"kind": "image", "uri": uri} for uri in ("plain.png", "data/images/0.jpg"))
    batch = media_records([plain, sharp], [sharp, plain], [sharp], [{**plain, "kind": "video"}])
    answer = answers(mysteps.Sharpness(min=2), batch, Media(str(tmp_path)))
    assert answer["min"][:2] == [0, 0]
    assert answer["min"][3] is None
    assert answer["drop"] == ["blurred", "blurred", None, None]
    np.save(tmp_path / "weights.npy", [1, 0, -1])
    step = mysteps.FilteredSharpness(min=2, weights="weights.npy")
    assert answers(step, batch, Media(str(tmp_path)))["drop"] == answer["drop"]


def test_a_step_is_tried_as_shown(
    mysteps: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (test,) = (text for text in blocks(WRITE_A_STEP, "python") if text.startswith("# test_"))
    Path("test_mysteps.py").write_text(test)
    importlib.import_module("test_mysteps").test_records_with_too_many_questions_are_dropped()
    Path("lines.jsonl").write_text('{"text": "Why? Who?"}\n{"text": "A river."}\n')
    (shown,) = (found for found in recipes(WRITE_A_STEP) if "name" in found)
    Path("try.yaml").write_text(yaml.safe_dump(shown))
    assert command(["run", "try.yaml", "-o", "out", "--inline", "-q"]) == OK
    counts = row_counts(load_run("out"))
    assert counts["Questions"] == (2, 1, {"too many questions": 1}, {})


MODELS = "docs/models-in-the-loop.md"


def test_the_request_step_and_the_reader_of_the_page_on_models_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = {text.split("\n")[0]: text for text in blocks(MODELS, "python")}
    (tmp_path / "myscores.py").write_text(code["# myscores.py"])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_texts(tmp_path / "data", ["clear", "unclear", "odd"], files=1)
    scores = {"clear": "5", "unclear": " 1 ", "odd": "it depends"}
    with Endpoint(lambda asked: reply(scores[asked.text.split()[-1]])).serving() as endpoint:
        step = {"myscores:Clarity": {"model": "m", "endpoint": endpoint.url}}
        made = run_engine(text_recipe(step), tmp_path, tmp_path / "out")
    [table] = part_tables(tmp_path / "out", order_pass(made), ("content", "Clarity.score"))
    texts = texts_of(table["content"]).to_pylist()
    found = dict(zip(texts, table["Clarity.score"].to_pylist(), strict=True))
    assert found == {"clear": 5, "unclear": 1, "odd": None}
    exec(code["import json"])
    assert sorted(line.split()[1] for line in capsys.readouterr().out.splitlines()) == [
        "1", "5", "it", "it",
    ]  # fmt: skip


def test_the_recipes_and_prompts_of_the_page_on_models_are_valid() -> None:
    shown = [yaml.safe_load(text) for text in blocks(MODELS, "yaml")]
    steps = [pair for block in shown for one in block.get("steps", ()) for pair in one.items()]
    assert {"recaption", "judge", "label", "locate"} <= {name for name, _ in steps}
    for name, settings in steps:
        own = {n: v for n, v in settings.items() if n != "only"}
        address = {"endpoint": "http://127.0.0.1/v1"} if "endpoint" in own else {}
        catalog.resolve_step(name)(**own | address)
    prompts = [block for block in shown if "steps" not in block]
    assert prompts
    for prompt in prompts:
        Prompt.model_validate(prompt)


@pytest.mark.parametrize("page", ["README.md", "docs/recipe.md", "docs/duplicates.md"])
def test_the_recipes_of_a_page_are_valid(page: str, tmp_path: Path) -> None:
    shown = [text for text in blocks(page, "yaml") if text.startswith("name:")]
    assert shown
    for text in shown:
        (tmp_path / "recipe.yaml").write_text(text)
        recipe.load(str(tmp_path / "recipe.yaml"))


def test_the_readme_shows_what_the_demo_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(["demo", "--inline", "-q"]) == OK
    (shown,) = (text for text in blocks("README.md", "") if text.startswith("step "))
    _, printed = capsys.readouterr().out.split("\n", 1)
    digests_and_sizes = re.compile(r"[0-9a-f]{16}|[\d.]+ [kM]B")
    assert digests_and_sizes.sub("", shown) == digests_and_sizes.sub("", printed)


def test_the_commands_of_the_page_are_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/command-line.md").read_text()
    shown = set(re.findall(r"`curate (\w+)", page))
    with pytest.raises(SystemExit) as ended:
        command(["--help"])
    assert ended.value.code == OK
    assert shown == set(re.findall(r"^    (\w+)(?: |$)", capsys.readouterr().out, re.M))


def test_every_page_the_readme_names_is_there() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / link).is_file(), link


def test_generated_parts_of_the_pages_are_up_to_date() -> None:
    outdated = [path.name for path, text in pages().items() if path.read_text() != text]
    assert not outdated, f"{outdated} differ from the code: run `python3 dev.py docs`"


def test_every_link_of_a_page_leads_somewhere() -> None:
    for page in sorted((ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", page.read_text()):
            path = (page.parent / link[0]) if link[0] else page
            assert path.is_file(), (page.name, link)
            if link[1]:
                assert link[1] in anchors(path), (page.name, link)


def test_every_module_that_the_architecture_names_exists() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    top = r"`((?:manifests|filters|clustering|recaption|curate|tests)/[\w/.]*)`"
    named = re.findall(top, page)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings: `## How to run` is `#how-to-run`."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {"#" + re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
