"""Which parts of a pass need not be made again, and which files of its folder may be deleted."""

from __future__ import annotations

from pathlib import Path

from curate.engine.part_files import commit_uri
from curate.engine.pass_folder import PassFolder
from manifests import storage
from manifests.run import manifest
from manifests.run.manifest import Commit
from manifests.storage.file_entry import FileEntry


def write_commit(folder: Path, part: str, inputs: str, more: tuple[str, ...] = ()) -> None:
    commit = Commit(part=part, inputs_digest=inputs, rows=0, files=[], more=[*more])
    storage.write_bytes(commit_uri(str(folder), part), manifest.content_of(commit))


def test_a_task_is_done_if_all_of_its_parts_are_made_of_its_present_inputs(tmp_path: Path) -> None:
    folder = PassFolder(str(tmp_path), str(tmp_path))
    write_commit(tmp_path, "a", "now", more=("a-1",))
    assert folder.groups({"a": "now"}) == []  # a-1 is missing
    write_commit(tmp_path, "a-1", "before")
    assert folder.groups({"a": "now"}) == []
    write_commit(tmp_path, "a-1", "now")
    [[first, second]] = folder.groups({"a": "now"})
    assert (first.part, second.part) == ("a", "a-1")
    assert folder.groups({"a": "later"}) == []


def test_unfinished_work_on_damaged_files_is_deleted_also_if_all_parts_are(tmp_path: Path) -> None:
    saved = [tmp_path / "checkpoints" / part / "00000.json" for part in ("a", "b")]
    for place in saved:
        place.parent.mkdir(parents=True)
        place.write_text("{}")
    folder = PassFolder(str(tmp_path), str(tmp_path))
    folder.forget({"a"})
    assert [place.exists() for place in saved] == [False, True]
    folder.forget(None)
    assert [place.exists() for place in saved] == [False, False]


def test_files_that_a_link_leads_to_outside_the_folder_are_not_deleted(tmp_path: Path) -> None:
    inside, outside = tmp_path / "parts", tmp_path / "other"
    inside.mkdir()
    outside.mkdir()
    (inside / "sub").symlink_to(outside)
    for place in (inside / "a.parquet", outside / "a.parquet"):
        place.write_bytes(b"data")
    names = ("a.parquet", "sub/a.parquet")
    files = [FileEntry(name=name, rows=0, size_bytes=4, digest="") for name in names]
    commit = Commit(part="a", inputs_digest="", rows=0, files=files)
    storage.write_bytes(commit_uri(str(inside), "a"), manifest.content_of(commit))
    PassFolder(str(inside), str(inside)).begin(set())
    assert not (inside / "a.parquet").exists()
    assert (outside / "a.parquet").read_bytes() == b"data"
