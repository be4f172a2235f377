"""What a command prints is safe to show, and no mistake of a user ends in a traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from curate import cli
from curate.terminal import Screen
from tests.runs import environment

Capture = pytest.CaptureFixture[str]

HOME = environment()["PYTHONPATH"]
TEXT = "a \x1b]0;owned\x07 \x1b[2J \u202e\x9b car"
RECIPE = """\
name: x
sources: [{name: s, reader: table, path: t.jsonl, text: t}]
steps: [{duplicates: {by: text}}, {words: {min: 2}}]
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over texts with escape sequences; one is a duplicate, one is short, one is broken."""
    folder = tmp_path_factory.mktemp("hostile")
    lines = [{"t": TEXT}, {"t": TEXT}, {"t": "\x1b[1m"}, {"t": 5}]
    text = "".join(json.dumps(line) + "\n" for line in lines) + '{"\\u001b[2J": 1}\n'
    (folder / "t.jsonl").write_text(text)
    (folder / "r.yaml").write_text(RECIPE)
    done = curate(folder, "run", "r.yaml", "-o", "out", "--inline")
    assert done.returncode == 0, done.stderr
    return folder


def curate(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "curate", *arguments]
    more = {"env": environment(), **more}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, **more)


@pytest.mark.parametrize(
    "command",
    [
        ["show", "out"], ["show", "out", "--json"], ["show", "out", "--dropped"],
        ["show", "out", "--quarantined"], ["explain", "out", "--quarantine"],
        ["explain", "out", "t.jsonl#1"], ["duplicates", "out"], ["duplicates", "out", "--json"],
        ["explain", "out", "no \x1b[2J"], ["show", "out", "\x1b[2J"], ["show", "no \x1b[2J"],
        ["steps", "\x1b[2J"], ["plan", "r.yaml", "--set", "\x1b[2J"],
        ["plan", "r.yaml", "--set", "name=\x1b[2J"], ["\x1b[2J"], ["probe", "r.yaml"],
    ],
)  # fmt: skip
def test_no_command_prints_a_control_character(
    hostile: Path, command: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hostile)
    with contextlib.suppress(SystemExit):  # of argparse
        cli.run(command)
    shown = capsys.readouterr()
    assert shown.out + shown.err
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown.out + shown.err) == []
    if "--json" in command:
        assert TEXT in _texts(json.loads(shown.out))


def _texts(value: Any) -> list[str]:
    """All texts in a JSON value."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [text for item in items for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (["show", "nowhere"], 1, "nowhere/manifest.json: there is no manifest here"),
        (["show", "r.yaml"], 1, "there is no manifest here"),
        (["verify", "t.jsonl"], 1, "there is no manifest here"),
        (["diff", "out", "nowhere"], 1, "nowhere/manifest.json: there is no manifest here"),
        (["rerun", "nowhere"], 1, "there is no manifest here"),
        (["duplicates", "nowhere"], 1, "there is no manifest here"),
        (["distinct", "nowhere", "--inline"], 1, "there is no manifest here"),
        (["explain", "nowhere", "--quarantine"], 1, "nowhere/quarantine.arrow"),
        (["explain", "nowhere", "x"], 1, "there is no manifest here"),
        (["run", "nowhere.yaml", "-o", "o", "--inline"], 2, "the recipe does not exist"),
        (["run", "out", "-o", "o", "--inline"], 2, "the recipe must be a file"),
        (["run", "/dev/zero", "-o", "o", "--inline"], 2, "the recipe must be a file"),
        (["run", "r.yaml", "-o", "t.jsonl", "--inline"], 1, "t.jsonl"),
        (["run", "r.yaml", "-o", "t.jsonl/o", "--inline"], 1, "t.jsonl/o"),
        (["init", "nowhere/r.yaml"], 1, "nowhere"),
        (["demo", "-o", "t.jsonl", "--inline"], 1, "t.jsonl"),
        (["plan", "r.yaml", "--set", "name.x=1"], 2, "is a single value, not a mapping"),
        (["plan", "r.yaml", "--set", "=1"], 2, "not of the form PATH=VALUE"),
        (["plan", "r.yaml", "--set", "name=["], 2, "not valid YAML"),
        (["plan", "r.yaml", "--set", "steps.words=1"], 2, "--set steps.words.SETTING=VALUE"),
        (["plan", "r.yaml", "--set", "steps.wrds=1"], 2, "the list has no item named 'wrds'"),
        (["plan", "r.yaml", "--set", "steps=1"], 2, "steps"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_command_is_one_line(
    hostile: Path, command: list[str], code: int, message: str, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(hostile)
    assert cli.run(command) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "unexpected" not in error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_folder_without_permission_is_one_line(
    hostile: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "out").mkdir(mode=0)
    assert cli.run(["show", str(tmp_path / "out")]) == cli.FAILED
    assert capsys.readouterr().err.count("\n") == 1


def test_the_end_of_a_pipe_ends_nothing_else(hostile: Path) -> None:
    program = f"{sys.executable} -m curate show out --json -n 1000 2>err | head -c 1; cat err"
    done = subprocess.run(
        ["bash", "-c", program], cwd=hostile, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "["


def test_a_reader_that_has_gone_leaves_the_exit_code() -> None:
    read, write = os.pipe()
    os.close(read)
    screen = Screen(os.fdopen(write, "w"))
    screen.write("x" * 100_000)
    screen.flush()
    screen.write("more")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_streams_that_are_closed_or_full_change_nothing_but_what_is_printed(
    hostile: Path, closed: str
) -> None:
    program = f"{sys.executable} -m curate verify out --no-inputs {closed}"
    assert subprocess.run(["bash", "-c", program], cwd=hostile, timeout=60).returncode == 0


def test_an_output_that_cannot_be_written_is_one_line(hostile: Path) -> None:
    program = f"{sys.executable} -m curate show out >/dev/full"
    done = subprocess.run(["bash", "-c", program], cwd=hostile, stderr=subprocess.PIPE, text=True)
    line = "curate: the standard output: No space left on device. Print to another place.\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_a_current_folder_that_was_deleted_is_one_line(tmp_path: Path) -> None:
    program = f"rmdir '{tmp_path}'; {sys.executable} -m curate readers"
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    line = "curate: the current folder was deleted. Change to a folder that exists.\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_names_of_files_in_another_encoding_are_refused(hostile: Path) -> None:
    """`ü.jpg` would be another name, and its record would have another id."""
    more = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = curate(hostile, "verify", "out", env=environment(**more))
    assert done.returncode == 1
    assert "Python reads the names of files as ascii" in done.stderr


def test_a_terminal_without_utf_8_shows_escapes() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, "ascii"))
    screen.write("naïve")
    screen.flush()
    assert raw.getvalue() == b"na\\xefve"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", [["--inline"], pytest.param([], marks=pytest.mark.ray)])
def test_an_interrupted_run_ends_with_one_line(
    tmp_path: Path, how: list[str], number: signal.Signals
) -> None:
    (tmp_path / "t.jsonl").write_text('{"t": "words"}\n')
    recipe = RECIPE.replace("words: {min: 2}", "'slow:Slow': {}")
    (tmp_path / "r.yaml").write_text(recipe)
    (tmp_path / "slow.py").write_text(
        "import time\nfrom manifests.step import RowStep\n"
        "class Slow(RowStep):\n    '''Sleep.'''\n    def reads(self): return ()\n"
        "    def measures(self): return {}\n"
        "    def measure(self, batch, context):\n"
        f"        open({str(tmp_path / 'started')!r}, 'w').close()\n"
        "        time.sleep(60)\n"
        "    def decide(self, measured): return None\n"
    )
    variables = environment(PYTHONPATH=f"{tmp_path}:{HOME}")
    command = [sys.executable, "-m", "curate", "run", "r.yaml", "-o", "out", "-q", *how]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=variables, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "started").exists() and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(number)
    _, error = running.communicate(timeout=60)
    assert (running.returncode, error.count("\n")) == (cli.INTERRUPTED, 1), error
    assert "run the same command again" in error


def test_nothing_is_imported_from_the_current_folder_unless_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('imported')")
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')")
    steps = "steps: [{'mine:Step': {}}]\n"
    (tmp_path / "r.yaml").write_text(RECIPE[: RECIPE.index("steps")] + steps)
    done = curate(tmp_path, "plan", "r.yaml")
    assert (done.returncode, done.stdout) == (cli.MISTAKE, "")
    assert "'mine:Step' cannot be loaded: No module named 'mine'" in done.stderr
    assert "PYTHONPATH=. curate" in done.stderr


@pytest.mark.parametrize("how", [["--inline"], pytest.param([], marks=pytest.mark.ray)])
def test_quiet_hides_warnings_and_logs_of_workers(tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "t.jsonl").write_text('{"t": "words"}\n')
    steps = "steps: [{'tests.engine.hanging:Warns': {}}]\n"
    (tmp_path / "r.yaml").write_text(RECIPE[: RECIPE.index("steps")] + steps)
    done = curate(tmp_path, "run", "r.yaml", "-o", "loud", *how)
    assert "a warning of a library" in done.stderr
    done = curate(tmp_path, "run", "r.yaml", "-o", "out", "-q", *how)
    assert (done.returncode, done.stderr) == (cli.OK, "")


@pytest.mark.ray
def test_workers_import_nothing_from_the_current_folder_unless_it_is_named(tmp_path: Path) -> None:
    for name in ("json", "numpy", "pyarrow", "orjson", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('/dev/stderr', 'w').write('imported'); 1/0")
    (tmp_path / "t.jsonl").write_text('{"t": "some words here"}\n')
    (tmp_path / "r.yaml").write_text(RECIPE)
    for command in (["run", "r.yaml", "-o", "out"], ["rerun", "out"]):
        done = curate(tmp_path, *command, "--workers", "1")
        assert (done.returncode, "imported" in done.stderr) == (cli.OK, False), done.stderr


@pytest.mark.ray
def test_workers_import_steps_from_the_current_folder_if_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"t": "some words here"}\n')
    (tmp_path / "mine.py").write_text(
        "from manifests.step import RowStep\n"
        "class Step(RowStep):\n    '''Keep all.'''\n"
        "    def measure(self, batch, context): return {}\n"
    )
    steps = "steps: [{'mine:Step': {}}]\n"
    (tmp_path / "r.yaml").write_text(RECIPE[: RECIPE.index("steps")] + steps)
    variables = environment(PYTHONPATH=f".:{HOME}")
    done = curate(tmp_path, "run", "r.yaml", "-o", "out", "--workers", "1", env=variables)
    assert done.returncode == cli.OK, done.stderr
