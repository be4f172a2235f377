"""Values of `${...}` reach the readers and steps, and no manifest or message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curate import cli, recipe
from curate.recipe.values import Values
from manifests.errors import RecipeError
from manifests.run import manifest

SECRET = "hunter2-secret"
RECIPE = """\
name: x
base: below.yaml
sources:
  - {name: s, reader: table, path: "${WHERE}/t.jsonl", text: [t, "${COLUMN:-u}"]}
steps:
  - words:
      min: ${LEAST}
      only: {source: ["${SOURCE}", other]}
  - 'tests.recipe.labelled:Labelled': {label: "${TOKEN}"}
"""


@pytest.mark.parametrize("value", ["no", "2020-01-01", "16:9", "[no, 2020-01-01]"])
def test_a_variable_is_read_by_the_rules_of_a_recipe(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("VALUE", value)
    written = Values("r.yaml", {}, {}).of(f"{value}")
    assert written == (["no", "2020-01-01"] if value[0] == "[" else value)
    assert Values("r.yaml", {}, {}).of("${VALUE}") == written


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "t.jsonl").write_text('{"t": "some words", "u": "more"}\n{"t": "one"}\n')
    (tmp_path / "r.yaml").write_text(RECIPE)
    (tmp_path / "below.yaml").write_text("seed: ${SEED:-3}\nname: ${GONE:-y}\n")
    values = {"WHERE": "in", "LEAST": "1", "SOURCE": "s", "TOKEN": SECRET}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def run(*arguments: str) -> int:
    return cli.run([*arguments, "--inline", "-q"])


def test_manifests_have_the_names_of_variables_and_not_their_values(folder: Path) -> None:
    assert run("run", "r.yaml", "-o", "out") == cli.OK
    made = manifest.load_run("out")
    assert made.recipe["sources"][0]["path"] == "${WHERE}/t.jsonl"
    assert made.recipe["steps"][0]["words"]["min"] == "${LEAST}"
    assert made.recipe["seed"] == "${SEED:-3}"
    assert sorted(made.variables.digests) == ["COLUMN", "LEAST", "SEED", "SOURCE", "TOKEN", "WHERE"]
    assert made.variables.digests["SEED"] is None
    (rows,) = (folder / "out" / "steps").glob("01-*/manifest.json")
    steps = json.loads(rows.read_text())["steps"]
    assert steps[0]["parameters"]["min"] == "${LEAST}"
    assert steps[0]["only"] == {"source": "${SOURCE}"}
    assert steps[1]["parameters"]["label"] == "${TOKEN}"
    for file in folder.glob("out/**/*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file


def test_explain_lists_no_step_as_passed_over_that_kept_the_record(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "r.yaml", "-o", "out") == cli.OK
    assert cli.run(["explain", "out", "in/t.jsonl#1"]) == cli.OK
    assert "passed over" not in capsys.readouterr().out


def test_rerun_takes_the_values_from_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "r.yaml", "-o", "out") == cli.OK
    assert run("rerun", "out") == cli.OK
    assert "no differences: the manifests state the same digests" in capsys.readouterr().out
    monkeypatch.setenv("LEAST", "2")
    assert run("rerun", "out", "-o", "again") == cli.MISTAKE
    assert (
        "the environment variable LEAST has another value than in the run"
        in capsys.readouterr().err
    )
    monkeypatch.setenv("LEAST", "1")
    monkeypatch.setenv("SEED", "9")
    assert run("rerun", "out", "-o", "again") == cli.MISTAKE
    assert "SEED is set, but it was not set in the run to repeat" in capsys.readouterr().err
    monkeypatch.delenv("SEED")
    monkeypatch.delenv("TOKEN")
    assert run("rerun", "out", "-o", "again") == cli.MISTAKE
    error = capsys.readouterr().err
    assert "the environment variable TOKEN is not set" in error
    assert SECRET not in error


def test_diff_names_the_variable_that_differs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "r.yaml", "-o", "out") == cli.OK
    monkeypatch.setenv("LEAST", "2")
    assert run("run", "r.yaml", "-o", "other") == cli.OK
    capsys.readouterr()
    assert cli.run(["diff", "out", "other"]) == cli.DIFFERS
    shown = capsys.readouterr().out
    assert "value of the variable LEAST" in shown
    assert "value of the variable TOKEN" not in shown


def test_a_setting_that_is_replaced_has_no_variable(folder: Path) -> None:
    loaded = recipe.load("r.yaml", ["steps.words.min=1", "sources.s.path=${WHERE}"])
    shown = {".".join(map(str, path)): v.text for path, v in loaded.variables.items()}
    assert shown == {
        "seed": "${SEED:-3}",
        "sources.0.path": "${WHERE}",
        "sources.0.text.1": "${COLUMN:-u}",
        "steps.0.words.only.source.0": "${SOURCE}",
        "steps.1.tests.recipe.labelled:Labelled.label": "${TOKEN}",
    }


def test_a_wrong_value_of_a_variable_is_not_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAST", SECRET)
    with pytest.raises(RecipeError) as caught:
        recipe.load("r.yaml")
    assert SECRET not in str(caught.value)
    assert "(not ${LEAST})" in str(caught.value)


def test_a_message_that_quotes_the_value_of_a_variable_has_its_name_instead(folder: Path) -> None:
    source = '{name: a, reader: boxes_table, path: in, boxes: b, space: "${TOKEN}"}'
    (folder / "space.yaml").write_text(f"name: t\nsources: [{source}]\n")
    with pytest.raises(RecipeError) as caught:
        recipe.load("space.yaml")
    assert SECRET not in str(caught.value)
    assert "'${TOKEN}'" in str(caught.value)


@pytest.mark.parametrize("value", ["[", "*x", "!!int a", "[" * 3000])
def test_a_value_that_breaks_the_yaml_is_refused_by_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("LEAST", value)
    with pytest.raises(RecipeError) as caught:
        recipe.load("r.yaml")
    assert str(caught.value) == (
        "r.yaml:7: after its variables are replaced by their values, ${LEAST} is not valid "
        'YAML. If the values are text, write the setting in quotes: "${LEAST}".'
    )


@pytest.mark.parametrize("field", ["s3://KEY:hunter2@bucket/a", "s3://b/a?secret_key=hunter2"])
def test_an_address_with_a_password_is_refused_without_printing_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHERE", field)
    assert run("run", "r.yaml", "-o", "out") == cli.MISTAKE
    error = capsys.readouterr().err
    assert "r.yaml:4: sources[0].path: an address must not contain a user" in error
    assert "hunter2" not in error
    monkeypatch.setenv("WHERE", "in")
    for out in ("run", "r.yaml", "-o", field), ("show", field), ("run", field, "-o", "o"):
        assert cli.run([*out, *(["--inline"] if out[0] == "run" else [])]) != cli.OK
        error = capsys.readouterr().err
        assert "an address must not contain a user, a password or a key" in error
        assert "hunter2" not in error
