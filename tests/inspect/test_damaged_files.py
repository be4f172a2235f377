"""Damaged files of a run: every command names the file, and none ends with an unexpected error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.cli import DIFFERS, FAILED, OK, run
from manifests.storage import parts
from tests.make import write_captions
from tests.runs import caption_recipe, run_engine

PART = "steps/00-*/part-*[0-9a-f].arrow"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("damaged")
    write_captions(base / "data", files=1, rows=20)
    (base / "data" / "zzz.jsonl").write_text('{"caption": ')
    run_engine(caption_recipe(steps=[{"words": {"min": 5}}]), base, base / "out")
    return base / "out"


def flipped(at: int) -> Callable[[Path, Path], None]:
    def flip(out: Path, path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at % len(data)] ^= 0x10
        path.write_bytes(data)

    return flip


def replaced(pattern: str) -> Callable[[Path, Path], None]:
    def replace(out: Path, path: Path) -> None:
        path.write_bytes(next(out.glob(pattern)).read_bytes())

    return replace


@pytest.mark.parametrize(
    ("name", "damage", "commands"),
    [
        ("quarantine.arrow", replaced(PART), ["explain --quarantine", "show --quarantined"]),
        *(
            ("quarantine.arrow", flipped(at), ["explain --quarantine", "show --quarantined"])
            for at in (9, 17, 40, 700, -12, -40)
        ),
        ("manifest.json", replaced("steps/00-*/manifest.json"), ["explain ID", "show"]),
        ("steps/00-*/manifest.json", replaced("manifest.json"), ["explain ID"]),
        ("steps/01-*/manifest.json", replaced("steps/00-*/manifest.json"), ["explain ID"]),
        (PART, replaced("quarantine.arrow"), ["explain ID"]),
        (PART, flipped(-30), ["explain ID"]),
        ("steps/*-order-*/part-*[0-9a-f].arrow", replaced("quarantine.arrow"), ["show -n 99"]),
        ("steps/00-*/splits.json", replaced("manifest.json"), []),
        ("steps/00-*/splits.json", lambda out, path: path.unlink(), []),
    ],
)
def test_a_damaged_file_is_named_by_verify_and_by_the_commands_that_read_it(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    name: str, damage: Callable[[Path, Path], None], commands: list[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    shutil.copytree(sound, out)
    written = sound.glob("steps/*-order-*/part-*.arrow")
    ids = (i for part in written for i in parts.read_columns(str(part), ("id",))["id"].to_pylist())
    record_id = next(ids)
    path = sorted(out.glob(name))[0]
    damage(out, path)
    assert run(["verify", str(out), "--no-inputs"]) == DIFFERS
    assert f"{path}: " in capsys.readouterr().out
    assert run(["verify", str(out)]) == DIFFERS
    capsys.readouterr()
    for command in commands:
        verb, *rest = command.replace("ID", record_id).split()
        code = run([verb, str(out), *rest])
        printed = capsys.readouterr().err
        assert (code, printed.startswith(f"curate: {path}: ")) == (FAILED, True), printed
        assert "unexpected" not in printed


def test_a_sound_run_has_no_fault(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(sound), "--no-inputs"]) == OK
