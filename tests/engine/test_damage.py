"""Damage to any file of a run: `verify` names it, and the next run makes the same bytes again.

CURATE_FLIPS is the number of random bytes that are changed, one run each: 6 by default.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate import cli
from curate import recipe as recipes
from curate.commands.verify import not_covered
from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.run import Run
from curate.inspect.compare import differences
from manifests.errors import CurateError, ManifestError
from manifests.run import manifest
from manifests.run.manifest import Commit
from manifests.run.verify import verify
from manifests.storage.file_entry import FileEntry
from tests.make import write_captions
from tests.runs import caption_recipe, file_bytes, run_engine

FLIPS = int(os.environ.get("CURATE_FLIPS", "6"))


def recipe(characters: int = 3) -> dict[str, Any]:
    """A recipe with every kind of pass and file: dropped and quarantined rows, stored media, an
    index, and shards of three formats."""
    steps: list[Any] = [
        {"words": {"min": 5}},
        {"tests.engine.pieces:SlowModel": {"milliseconds": 0, "min": 20}},
        {"duplicates": {"by": "text", "index": True}},
        {"tests.engine.pieces:Broken": {}},
        {"characters": {"min": characters}},
    ]
    formats = ["arrow", "jsonl", "webdataset"]
    return caption_recipe(steps=steps, shards={"formats": formats, "shard_bytes": 30_000})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("damage")
    write_captions(base / "data", files=2, rows=20)
    broken = [{"caption": "an image that is not here", "image": "gone.jpg"},
              {"caption": "poison in words that are many", "image": "images/0.jpg"}]  # fmt: skip
    lines = [json.dumps(row) for row in broken]
    (base / "data" / "zzz.jsonl").write_text("\n".join([*lines, '{"caption": ']))
    run_engine(recipe(), base, base / "sound")
    run_engine(recipe(30), base, base / "changed")
    assert verify(str(base / "sound")).faults == []
    assert verify(str(base / "sound")).uncovered == []
    return base


@pytest.fixture
def out(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base / "sound", tmp_path / "out"))


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a run; of the manifest, all but the environment."""
    made = manifest.load_run(str(out)).model_dump(mode="json", exclude={"environment"})
    return file_bytes(out) | {"manifest.json": json.dumps(made).encode()}


def products(out: Path) -> dict[str, bytes]:
    """The files that a run is made for: shards, and what was quarantined."""
    folders = ("shards", "jsonl", "webdataset", "quarantine.arrow")
    return {n: data for n, data in file_bytes(out).items() if n.split("/")[0] in folders}


def flip(path: Path, at: int | None = None, value: int = 1) -> None:
    """Change one byte, and keep the times of the file."""
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= value
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def edit(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def edited(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content, indent=1))

    return edited


def garbage(path: Path) -> None:
    path.write_text("{")


def other(pattern: str) -> Callable[[Path], None]:
    """Damage that puts the content of another file of the run in the place of a file."""
    return lambda path: path.write_bytes(sorted(path.parent.glob(pattern))[0].read_bytes()) and None


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "records of a read": ("steps/00-*/part-*[0-9a-f].arrow", flip),
    "a part": ("steps/01-words-*/part-*[0-9a-f].arrow", flip),
    "a shorter part": ("steps/01-words-*/part-*[0-9a-f].arrow", shorten),
    "no part": ("steps/01-words-*/part-*[0-9a-f].arrow", os.remove),
    "measures": ("steps/*-measures-*/part-*.arrow", flip),
    "stored media": ("steps/*-measures-*/part-*.media", flip),
    "a sidecar": ("steps/03-duplicates-*/part-*[0-9a-f].arrow", flip),
    "an index": ("steps/03-duplicates-*/*.index.arrow", flip),
    "dropped rows": ("steps/01-words-*/*.dropped.arrow", flip),
    "no dropped rows": ("steps/01-words-*/*.dropped.arrow", os.remove),
    "quarantined rows": ("steps/00-*/*.quarantined.arrow", flip),
    "sorted rows": ("steps/*-order-*/part-*.arrow", flip),
    "rows of a commit": ("steps/01-words-*/part-*.json", edit(lambda c: c.update(rows=1))),
    "a broken commit": ("steps/01-words-*/part-*.json", garbage),
    "no commit": ("steps/01-words-*/part-*.json", os.remove),
    "the ledger of a pass": (
        "steps/01-words-*/manifest.json",
        edit(lambda c: c["ledger"][0].update(rows_in=99)),
    ),
    "a broken manifest of a pass": ("steps/01-words-*/manifest.json", garbage),
    "a space in a manifest": ("steps/01-words-*/manifest.json", lambda p: flip(p, 2, 0x29)),
    "splits": ("steps/00-*/splits.json", edit(lambda c: c.update(splits={}))),
    "no splits": ("steps/00-*/splits.json", os.remove),
    "a manifest over the splits": ("steps/00-*/splits.json", other("../../manifest.json")),
    "a run's manifest over that of a pass": (
        "steps/01-words-*/manifest.json",
        other("../../manifest.json"),
    ),
    "the manifest of another pass": (
        "steps/01-words-*/manifest.json",
        other("../00-*/manifest.json"),
    ),
    "a part over the quarantine": ("quarantine.arrow", other("steps/00-*/part-*[0-9a-f].arrow")),
    "a shard": ("shards/data-00001-*.arrow", flip),
    "a shorter shard": ("webdataset/data-00001-*.tar", shorten),
    "no shard": ("jsonl/data-00000-*.jsonl", os.remove),
    "an image beside a shard": ("jsonl/media/**/*.*", flip),
    "the list of shards": ("shards/shards.json", edit(lambda c: c.update(rows=1))),
    "the state of a data set": ("shards/state.json", os.remove),
    "the commit of a shard": ("steps/write-arrow/data-00000-*.json", garbage),
    "the quarantine": ("quarantine.arrow", flip),
}


@pytest.mark.parametrize("quiet", [True, False])
def test_a_damaged_file_is_named_also_when_progress_is_not_shown(
    base: Path, out: Path, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    part = sorted(out.glob("steps/01-words-*/part-*[0-9a-f].arrow"))[0]
    flip(part)
    loaded = recipes.build(recipe(), base=str(base))
    Run(loaded, str(out), Inline(), Progress(quiet))()
    printed = capsys.readouterr().err
    assert f"{part.name}: " in printed
    assert "; the file is made again" in printed


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_mended_whatever_was_damaged(base: Path, out: Path, name: str) -> None:
    pattern, damage = DAMAGE[name]
    path = sorted(out.glob(pattern))[0]
    damage(path)
    assert path.name in str(verify(str(out)).faults)
    assert path.name in str(differences(str(base / "sound"), str(out)))
    run_engine(recipe(), base, out)
    assert contents(out) == contents(base / "sound")
    damage(path)
    run_engine(recipe(30), base, out)
    assert verify(str(out)).faults == []
    assert products(out) == products(base / "changed")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["recipe"]["steps"][0].update(words={"min": 1}),
        lambda c: c.update(seed=99),
        lambda c: c.update(name="other"),
        lambda c: c["ledger"][0].update(rows_in=99, kept=99),
        lambda c: c["shards"]["arrow"].update(rows=1),
        lambda c: c["environment"].update(base="/elsewhere"),
        lambda c: c["passes"].pop(),
    ],
)
def test_a_change_of_any_field_of_the_manifest_is_seen(
    base: Path, out: Path, change: Callable[[Any], None]
) -> None:
    edit(change)(out / "manifest.json")
    with pytest.raises(ManifestError, match=r"out/manifest\.json: the checksum in the manifest"):
        verify(str(out))
    run_engine(recipe(), base, out)
    assert contents(out) == contents(base / "sound")


@pytest.mark.parametrize("number", range(FLIPS))
def test_a_random_byte_of_a_random_file_is_refused_or_made_again(
    base: Path, out: Path, number: int
) -> None:
    chance = random.Random(f"flip {number}")
    path = chance.choice(sorted(p for p in out.rglob("*") if p.is_file() and p.stat().st_size))
    flip(path, chance.randrange(path.stat().st_size), chance.randrange(1, 256))
    refused = ""
    try:
        run_engine(recipe(), base, out)
    except CurateError as error:
        refused = str(error)
    assert path.name in refused if refused else contents(out) == contents(base / "sound")


@pytest.mark.parametrize(("harm", "remade"), [(flip, 1), (Path.unlink, 0)])
def test_parts_made_from_a_damaged_part_are_made_again_and_none_from_a_missing_one(
    base: Path, out: Path, harm: Callable[[Path], None], remade: int
) -> None:
    """A missing part cannot have been read, so what follows from it is right."""
    part = sorted(out.glob("steps/01-words-*/part-*[0-9a-f].arrow"))[0]
    harm(part)
    made = sorted(out.glob("steps/*-measures-*/part-*.arrow"))
    times = {path: path.stat().st_mtime_ns for path in made}
    run_engine(recipe(), base, out)
    assert [p.name for p in made if p.stat().st_mtime_ns != times[p]] == [part.name] * remade


def test_unfinished_files_of_a_killed_run_are_deleted_wherever_they_are(
    base: Path, out: Path
) -> None:
    (out / "manifest.json").unlink()
    for folder in ("", "steps/write-arrow", "jsonl/media", "steps"):
        (out / folder / ".data.json.ab12_cd3.tmp").write_text("half")
    run_engine(recipe(), base, out)
    assert contents(out) == contents(base / "sound")


def test_a_run_with_nothing_to_do_deletes_what_an_interrupted_one_left(
    base: Path, out: Path
) -> None:
    (out / ".quarantine.arrow.6saazyr4.tmp").write_text("half")
    run_engine(recipe(), base, out)
    assert contents(out) == contents(base / "sound")


def test_a_stray_file_is_listed_as_not_covered(out: Path) -> None:
    (out / "shards" / "data-00099-of-00100.arrow").write_text("x")
    assert verify(str(out)).uncovered == ["shards/data-00099-of-00100.arrow"]


def test_verify_names_a_file_of_each_folder_that_is_not_covered(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a/1", "a/2", "a/3", "b/1", "b/2", "c\nd"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("x")
    assert cli.run(["verify", str(out), "--no-inputs"]) == cli.OK
    shown = capsys.readouterr().out.splitlines()
    assert shown[:4] == [
        "not covered by a manifest: a/1 and 2 more files beside it",
        "not covered by a manifest: b/1 and 1 more file beside it",
        "not covered by a manifest: c\\nd",
        "Results of other settings are no part of this run, and may be deleted.",
    ]
    assert shown[4].endswith("no faults, and all counts agree")


def test_of_many_folders_that_are_not_covered_twenty_are_named() -> None:
    lines = not_covered([f"{n:02}/a" for n in range(23)]).splitlines()
    assert lines[:2] == ["not covered by a manifest: 00/a", "not covered by a manifest: 01/a"]
    assert lines[19:] == [
        "not covered by a manifest: 19/a",
        "not covered by a manifest: 3 more folders",
        "Results of other settings are no part of this run, and may be deleted.",
    ]
    assert not_covered([]) == ""


NAMES = ["../x", "/etc/passwd", "a/../../x", "a\\..\\x", "a\0b", "", ".", "a//b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_not_a_plain_path_is_refused(name: str) -> None:
    entry = {"name": name, "rows": 0, "size_bytes": 1, "digest": "d"}
    with pytest.raises(ValueError, match="is not a plain path inside the folder"):
        FileEntry.model_validate(entry)
    with pytest.raises(ValueError, match="is not a plain path inside the folder"):
        Commit(part=name, inputs_digest="", rows=0, files=[])


def test_a_manifest_of_others_deletes_nothing_outside(base: Path, out: Path) -> None:
    victim = out.parent / "victim.txt"
    victim.write_text("keep")
    [folder] = out.glob("steps/01-words-*")
    entry = FileEntry.model_construct(name="../../../victim.txt", rows=0, size_bytes=4, digest="d")
    foreign = Commit.model_construct(
        part="part-0", inputs_digest="", origin="", rows=0, files=[entry], ledger=[], detail={}
    )
    manifest.save(foreign, str(folder / "part-0.json"))
    known = manifest.load_pass(str(folder))
    manifest.save(known.model_copy(update={"parts": [*known.parts, foreign]}),
                  str(folder / "manifest.json"))  # fmt: skip
    [fault] = [f for f in verify(str(out)).faults if "is not a plain path" in f.fault]
    assert fault.place.endswith("manifest.json")
    run_engine(recipe(), base, out)
    assert contents(out) == contents(base / "sound")
    assert victim.read_text() == "keep"


def test_a_folder_that_is_a_link_to_another_place_is_refused(base: Path, out: Path) -> None:
    [folder] = out.glob("steps/01-words-*")
    elsewhere = folder.rename(out.parent / "elsewhere")
    folder.symlink_to(elsewhere)
    with pytest.raises(ManifestError, match="a link to a place outside the run's folder"):
        run_engine(recipe(), base, out)
