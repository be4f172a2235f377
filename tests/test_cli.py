"""What each command prints, and with which exit code it ends."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curate.cli import DIFFERS, FAILED, MISTAKE, OK, OVER_BUDGET, run
from curate.commands.diff import SAME
from manifests.run.manifest import load_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, run once in this process."""
    folder = tmp_path_factory.mktemp("demo")
    assert run(["demo", "-o", str(folder), "--inline", "-q"]) == OK
    return folder


def answer(capsys: Capture, *arguments: object) -> tuple[int, str]:
    """The exit code of a command, and all that it prints."""
    code = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def records(capsys: Capture, *arguments: object) -> Any:
    code, output = answer(capsys, *arguments, "--json")
    assert code == OK
    return json.loads(output)


def test_help_names_every_command(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["--help"])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    for command in ("run", "plan", "probe", "verify", "explain", "diff", "rerun", "show", "steps",
                    "readers", "schema", "demo", "init", "clusters"):  # fmt: skip
        assert re.search(rf"^    {command} ", output, re.M), command


def test_the_demo_shows_every_outcome_and_verifies(demo: Path, capsys: Capture) -> None:
    made = load_run(str(demo / "out"))
    kinds = {what for a in made.ledger for what in [*a.dropped, *a.quarantined]}
    assert {"too few words", "repeated characters", "MediaError", "not in the sample"} <= kinds
    assert sum(a.rows_in for a in made.ledger if a.step.startswith("read")) == sum(
        a.kept + a.removed for a in made.ledger if a.step.startswith("read")
    )
    code, output = answer(capsys, "verify", demo / "out")
    assert (code, "no faults, and all counts agree" in output) == (OK, True)


def test_explain_lists_every_step_of_a_kept_record(demo: Path, capsys: Capture) -> None:
    (row,) = records(capsys, "show", demo / "out", "-n", 1, "--source", "web")
    found = records(capsys, "explain", demo / "out", row["id"])
    assert found["origin"] == row["origin"]
    whats = [event["what"] for event in found["events"]]
    grounding = ["passed over"] * 2  # `boxes` and `grounding_text` are for the source `boxes` alone
    assert whats == ["read"] + ["kept"] * 4 + grounding + ["kept"] * 5 + ["written"] * 2
    words = next(event for event in found["events"] if event["step"] == "words")
    assert words["facts"] == {"words.count": row["words.count"], "min": 3, "max": 64}
    shard = found["events"][-2]["facts"]["arrow"]
    ids = _shard_ids(demo / "out" / "shards" / shard)
    assert row["id"] in ids


def _shard_ids(shard: Path) -> list[str]:
    import pyarrow as pa

    ids: list[str] = pa.ipc.open_stream(shard.read_bytes()).read_all()["id"].to_pylist()
    return ids


def test_explain_shows_why_a_record_was_dropped(demo: Path, capsys: Capture) -> None:
    rows = records(capsys, "show", demo / "out", "--dropped", "-n", 1000)
    row = next(r for r in rows if r["step"] == "words")
    code, output = answer(capsys, "explain", demo / "out", row["id"][:12])
    assert code == OK
    assert re.search(r"words +dropped +reason too few words, words.count \d, min 3, max 64", output)
    assert "IMG_0042.JPG" in output


def test_explain_finds_a_quarantined_input_by_its_origin(demo: Path, capsys: Capture) -> None:
    rows = records(capsys, "show", demo / "out", "--quarantined", "-n", 1000)
    row = next(r for r in rows if r["source"] == "web")
    code, output = answer(capsys, "explain", demo / "out", row["origin"])
    assert code == OK
    assert "quarantined" in output
    assert row["message"] in output


def test_explain_fails_if_there_is_no_such_record(demo: Path, capsys: Capture) -> None:
    code, output = answer(capsys, "explain", demo / "out", "nothing-like-it")
    assert (code, "no record has the id or origin 'nothing-like-it'" in output) == (FAILED, True)


def test_probe_measures_and_writes_nothing(demo: Path, capsys: Capture, monkeypatch: Any) -> None:
    monkeypatch.chdir(demo)
    before = sorted(demo.rglob("*"))
    code, output = answer(capsys, "probe", "recipe.yaml", "--rows", 300)
    assert code == OK
    assert re.search(r"^words\.count   \(60 records without a value\)\n  min ", output, re.M)
    assert re.search(r"^words +\d+ +\d+ +0 +[\d.]+%", output, re.M)
    assert re.search(r"^duplicates +needs the whole corpus\nsample +needs the whole", output, re.M)
    assert sorted(demo.rglob("*")) == before


def test_plan_shows_what_is_done_and_what_would_run(
    demo: Path, capsys: Capture, monkeypatch: Any
) -> None:
    monkeypatch.chdir(demo)
    states = [p["state"] for p in records(capsys, "plan", "recipe.yaml", "-o", "out")]
    assert all(state.startswith("done") for state in states)
    changed = ["plan", "recipe.yaml", "-o", "out", "--set", "steps.sample.share=0.5"]
    states = [p["state"].split(":")[0] for p in records(capsys, *changed)]
    assert states == ["done"] * 7 + ["to run"] * 6


def test_verify_finds_a_flipped_byte_and_a_missing_file(
    demo: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(demo / "out", tmp_path / "out")
    shard = next((tmp_path / "out" / "shards").glob("*.arrow"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    part = next(tmp_path.glob("out/steps/01-*/part-*.arrow"))
    part.unlink()
    code, output = answer(capsys, "verify", tmp_path / "out")
    assert code == DIFFERS
    assert f"{shard}: the file has digest" in output
    assert f"{part}: the file is missing" in output


def test_rerun_makes_the_same_bytes_from_the_manifest_alone(
    demo: Path, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [
        "rerun",
        demo / "out" / "manifest.json",
        "-o",
        tmp_path / "again",
        "--inline",
        "-q",
    ]
    code, output = answer(capsys, *arguments)
    assert (code, output.startswith("no differences: the manifests state the same digests")) == (
        OK,
        True,
    )


def test_rerun_names_exactly_the_input_that_differs(
    demo: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(demo / "data", tmp_path / "data")
    shutil.copytree(demo / "journal", tmp_path / "journal")
    (tmp_path / "data/photos/0001.txt").write_text("Changed since.")
    arguments = [
        "rerun",
        demo / "out",
        "-o",
        tmp_path / "again",
        "--base",
        tmp_path,
        "--inline",
        "-q",
    ]
    code, output = answer(capsys, *arguments)
    assert code == DIFFERS
    changed = re.findall(r"^input (\S+)", output, re.M)
    assert len(changed) == 1
    assert changed[0].startswith("data/photos/")


def test_rerun_refuses_the_folder_of_the_run_itself_by_any_path(
    demo: Path, tmp_path: Path, capsys: Capture, monkeypatch: Any
) -> None:
    (tmp_path / "link").symlink_to(demo / "out")
    monkeypatch.chdir(demo)
    before = (demo / "out" / "manifest.json").read_bytes()
    for place in ("out", "out/", "./data/../out", demo / "out", tmp_path / "link"):
        assert run(["rerun", "out", "-o", str(place), "--inline", "-q"]) == MISTAKE
        assert "Name a new folder, such as out-rerun." in capsys.readouterr().err
    assert (demo / "out" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("name", ["shards/data-00000-*.arrow", "quarantine.arrow"])
def test_a_comparison_names_a_file_that_is_not_what_its_manifest_states(
    demo: Path, tmp_path: Path, capsys: Capture, name: str
) -> None:
    shutil.copytree(demo / "out", tmp_path / "old")
    shutil.copytree(demo / "out", tmp_path / "new")
    path = next((tmp_path / "old").glob(name))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again = ["rerun", tmp_path / "old", "-o", tmp_path / "new", "--inline", "-q"]
    code, output = answer(capsys, *again)
    assert (code, output.splitlines()[0]) == (DIFFERS, str(path))
    path.write_bytes(b"")
    for pair in (("old", "new"), ("new", "old")):
        code, output = answer(capsys, "diff", *(tmp_path / one for one in pair))
        assert code == DIFFERS
        assert f"{path}\n  - the file has 0 bytes, not {len(data)}" in output


def test_diff_lists_settings_ledger_and_records_that_differ(
    demo: Path, tmp_path: Path, capsys: Capture, monkeypatch: Any
) -> None:
    monkeypatch.chdir(demo)
    assert answer(capsys, "diff", "out", "out") == (
        OK,
        f"{SAME}\n",
    )
    run(
        [
            "run",
            "recipe.yaml",
            "-o",
            str(tmp_path / "b"),
            "--inline",
            "-q",
            "--set",
            "steps.words.min=13",
        ]
    )
    capsys.readouterr()
    code, output = answer(capsys, "diff", "out", tmp_path / "b")
    assert code == DIFFERS
    assert "recipe steps[0] words min\n  - 3\n  + 13" in output
    assert re.search(r"ledger words dropped too few words\n  - \d+\n  \+ \d+", output)
    assert re.search(r"record [0-9a-f]{32}\n  - written\n  \+ words: too few words", output)


def test_init_writes_a_recipe_that_is_valid_and_never_overwrites(
    tmp_path: Path, capsys: Capture, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert answer(capsys, "init")[0] == OK
    assert answer(capsys, "plan", "recipe.yaml")[0] == OK
    assert answer(capsys, "init")[0] == MISTAKE


def test_a_mistake_in_the_recipe_is_exit_code_2(
    demo: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\nsources: []\n")
    code, output = answer(capsys, "run", tmp_path / "bad.yaml", "-o", tmp_path / "out", "--inline")
    assert (code, output.startswith("curate: bad.yaml:2: sources: ")) == (MISTAKE, True)
    assert not (tmp_path / "out").exists()


def test_an_unknown_option_is_refused_with_the_usage_of_its_command(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        answer(capsys, "duplicates", "out", "-n", "3")
    assert caught.value.code == MISTAKE
    shown = capsys.readouterr().err
    assert shown.startswith("usage: curate duplicates ")
    assert shown.endswith("curate duplicates: error: unrecognized arguments: -n 3\n")


def test_a_spent_budget_is_exit_code_3(
    demo: Path, tmp_path: Path, capsys: Capture, monkeypatch: Any
) -> None:
    monkeypatch.chdir(demo)
    settings = ["--set", "max_quarantined=3"]
    code, output = answer(
        capsys, "run", "recipe.yaml", "-o", tmp_path / "out", "--inline", "-q", *settings
    )
    assert code == OVER_BUDGET
    assert "more than the error budget of max_quarantined: 3" in output


def test_steps_readers_and_schema_print_their_manuals(capsys: Capture) -> None:
    code, output = answer(capsys, "steps")
    assert (code, "words" in output, "datacomp_basic" in output) == (OK, True, True)
    code, output = answer(capsys, "steps", "words")
    assert (code, "words.count: int32" in output) == (OK, True)
    code, output = answer(capsys, "steps", "obelics_document")
    assert (code, "published" in output) == (OK, True)
    assert "webdataset" in answer(capsys, "readers")[1]
    for reader, made in {"table": "caption or text", "llava": "chat"}.items():
        assert f"makes    {made} records" in answer(capsys, "readers", reader)[1]
    assert "media_root" in answer(capsys, "readers", "url_table")[1]
    assert records(capsys, "schema")["title"] == "Recipe"
    assert "32 hex digits" in answer(capsys, "schema", "--record")[1]
    found = records(capsys, "steps", "obelics_document")
    assert found["steps"][0]
    assert "published" in {why["kind"] for why in found["evidence"].values()}
    code, output = answer(capsys, "steps", "wrods")
    assert (code, "Did you mean 'words'?" in output) == (MISTAKE, True)


@pytest.mark.parametrize(
    "command",
    [
        ["probe", "r.yaml", "--rows", "0"], ["show", "out", "-n", "0"], ["show", "out", "-n", "x"],
        ["duplicates", "out", "--top", "0"], ["duplicates", "out", "--members", "-1"],
        ["duplicates", "out", "--each", "-1"], ["clusters", "out", "--limit", "-1"],
        ["distinct", "out", "--ngram", "1"],
        ["run", "r.yaml", "-o", "out", "--workers", "0"],
    ],
)  # fmt: skip
def test_a_number_that_means_nothing_is_a_mistake_in_the_command(
    command: list[str], capsys: Capture
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(command)
    assert ended.value.code == MISTAKE
    assert command[-2] in capsys.readouterr().err


def test_output_cut_short_by_a_pager_is_not_an_error(demo: Path) -> None:
    command = f"{sys.executable} -m curate explain --quarantine {demo / 'out'} | head -1"
    output = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert output.stderr == ""
