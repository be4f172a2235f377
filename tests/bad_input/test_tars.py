"""Tars that break off, leave the archive, or say a key twice."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.bad_input.inputs import MEMBERS, TARS, TARS_KEPT
from tests.ingest.tars import shard
from tests.make import make_image
from tests.runs import Quarantined, run_recipe


def test_every_complete_sample_before_the_cut_of_a_tar_is_kept(base: Path) -> None:
    members = [
        (f"{n:02d}.{end}", data)
        for n in range(20)
        for end, data in (("jpg", make_image(64, 48, n)), ("txt", f"Caption {n}.".encode()))
    ]
    shard(base / "data", members)
    path = base / "data/a.tar"
    with tarfile.open(path) as archive:
        ends = {member.name: member.offset_data + member.size for member in archive}
        cut = archive.getmember("10.jpg").offset_data + 100
    size = len(members[20][1])
    path.write_bytes(path.read_bytes()[:cut])
    made = run_recipe(base, TARS)
    whole = [n for n in range(20) if ends[f"{n:02d}.txt"] <= cut]
    assert made.captions == {f"data/a.tar#{n:02d}": f"Caption {n}." for n in whole}
    assert made.accounts["read tars"] == (11, 10, {}, {"RowError": 1})
    fault = f"the tar ends too early: it has 100 of {size} bytes of '10.jpg'."
    message = f"{fault} Download or create the tar again."
    assert made.quarantine == [Quarantined("data/a.tar#10", "read tars", "RowError", message)]


def test_a_tar_member_that_leaves_the_archive_is_quarantined_by_its_name(base: Path) -> None:
    evil = [("../../etc/x", b"root::0:0"), ("../../etc/y.jpg", make_image()), ("/etc/z.jpg", b"")]
    shard(base / "data", [*MEMBERS[:2], *evil, *MEMBERS[2:]])
    made = run_recipe(base, TARS)
    fix = "is an absolute path, or leads out of the archive. "
    fix += "Create the tar again with relative names."
    assert made.quarantine == sorted(
        Quarantined(
            f"data/a.tar#{name}", "read tars", "RowError", f"the member name {name!r} {fix}"
        )
        for name, _ in evil
    )
    assert made.accounts["read tars"] == (6, 3, {}, {"RowError": 3})
    assert made.captions == TARS_KEPT
    assert sorted(p.name for p in base.iterdir()) == ["data", "out", "recipe.yaml"]


def test_all_samples_of_a_repeated_key_in_a_tar_are_quarantined(base: Path) -> None:
    twice = [("z.jpg", make_image()), ("z.jpg", make_image(8, 8))]
    members = [*MEMBERS, ("0.jpg", make_image(8, 8)), *twice]
    shard(base / "data", members)
    made = run_recipe(base, TARS, max_quarantined=3)
    assert made.accounts["read tars"] == (5, 2, {}, {"RowError": 3})
    again = (
        "the key '0' occurs more than once in this tar. "
        "Put the members of a sample one after another (`tar --sort=name`), and give each sample "
        "its own key."
    )
    second = (
        "the sample has two members with the name 'z.jpg'. Give every member of a sample "
        "its own name."
    )
    assert made.quarantine == [
        *[Quarantined("data/a.tar#0", "read tars", "RowError", again)] * 2,
        Quarantined("data/a.tar#z", "read tars", "RowError", second),
    ]
    kept = {origin: text for origin, text in TARS_KEPT.items() if origin != "data/a.tar#0"}
    assert made.captions == kept


def test_one_key_in_two_tars_makes_two_records(base: Path) -> None:
    shard(base / "data", MEMBERS)
    (base / "data/a.tar").rename(base / "data/b.tar")
    shard(base / "data", MEMBERS)
    made = run_recipe(base, TARS)
    assert made.accounts["read tars"] == (6, 6, {}, {})
    assert len({row["id"] for row in made.rows}) == 6
