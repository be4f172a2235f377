"""What the documentation shows works as shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from curate import recipe
from curate.cli import OK
from curate.cli import run as command
from docs.generator.regions import pages
from tests.make import write_captions
from tests.runs import caption_recipe, row_counts, run_engine

ROOT = Path(__file__).parents[1]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.S)


def test_the_steps_of_the_page_on_writing_steps_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "docs/write-a-step.md"
    (tmp_path / "mysteps.py").write_text("\n\n".join(blocks(page, "python")))
    monkeypatch.syspath_prepend(str(tmp_path))
    write_captions(tmp_path / "data", files=1, rows=8)
    with open(tmp_path / "data" / "000.jsonl", "a") as out:
        out.write('{"caption": "Why? Who? Where is it now, tell me?", "image": "images/0.jpg"}\n')
        out.write('{"caption": "An image that is not there", "image": "images/gone.jpg"}\n')
    (steps,) = (yaml.safe_load(text)["steps"] for text in blocks(page, "yaml"))
    steps[1]["mysteps:Sharpness"]["min"] = 0
    made = run_engine(caption_recipe(steps=steps), tmp_path, tmp_path / "out")
    counts = row_counts(made)
    assert counts["Questions"] == (9, 8, {"too many questions": 1}, {})
    assert counts["Sharpness"] == (8, 8, {}, {})
    assert counts["Thumbnails"] == (8, 8, {}, {})
    rows_in, kept, dropped, _ = counts["Longest"]
    assert (rows_in, kept + sum(dropped.values())) == (8, 8)


@pytest.mark.parametrize("page", ["README.md", "docs/recipe.md"])
def test_the_recipes_of_a_page_are_valid(page: str, tmp_path: Path) -> None:
    shown = [text for text in blocks(page, "yaml") if text.startswith("name:")]
    assert shown
    for text in shown:
        (tmp_path / "recipe.yaml").write_text(text)
        recipe.load(str(tmp_path / "recipe.yaml"))


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
