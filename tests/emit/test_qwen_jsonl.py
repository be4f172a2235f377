"""Qwen's files: the loader reads the content of the record, or the record is not written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from manifests.storage.digest import file_digest
from tests.emit.records import IMAGES, captioned, medium, records, row, tar, text, write, write_all


def loaded(line: dict[str, Any], base: Path) -> list[dict[str, Any]]:
    """The messages that Qwen's loader makes of a line, with media as their bytes.

    Every turn that is not human is the assistant's. Tags in human turns take the media in order;
    too few or too many media are an error.
    """
    pools = {}
    for kind in ("image", "video"):
        paths = line.get(kind) or []
        pools[f"<{kind}>"] = [paths] if isinstance(paths, str) else list(paths)
    messages = []
    for turn in line["conversations"]:
        if turn["from"] != "human":
            messages.append({"role": "assistant", "content": [turn["value"]]})
            continue
        content: list[Any] = []
        for piece in re.split("(<image>|<video>)", turn["value"]):
            if piece in pools:
                if not pools[piece]:
                    raise ValueError("more tags than media")
                content.append((base / pools[piece].pop(0)).read_bytes())
            elif piece.strip():
                content.append(piece.strip())
        messages.append({"role": "user", "content": content})
    if any(pools.values()):
        raise ValueError("media left over")
    return messages


def lines(folder: Path) -> list[dict[str, Any]]:
    out = folder / "out"
    return [json.loads(s) for f in sorted(out.glob("*.jsonl")) for s in f.read_text().splitlines()]


def test_a_caption_is_a_human_turn_of_its_image_and_an_answer(tmp_path: Path) -> None:
    table = captioned(tmp_path, 2)
    write("jsonl", tmp_path, table)
    ids = table["id"].to_pylist()
    assert lines(tmp_path) == [
        {
            "id": ids[n],
            "image": f"media/{ids[n][:2]}/{ids[n]}-0.{ending}",
            "conversations": [
                {"from": "human", "value": "<image>"},
                {"from": "gpt", "value": f"caption {n}"},
            ],
        }
        for n, ending in enumerate(["jpg", "png"])
    ]
    for n, line in enumerate(lines(tmp_path)):
        assert (tmp_path / "out" / line["image"]).read_bytes() == IMAGES[n]


def test_the_loader_reads_the_content_of_the_records(tmp_path: Path) -> None:
    media = tar(tmp_path / "in.tar", IMAGES)
    (tmp_path / "clip.mp4").write_bytes(b"a clip")
    clip = {"kind": "video", "uri": "clip.mp4", "mime": "video/mp4"}
    table = records(
        row("a", [text("compare", "user"), medium(2, "user"), text("with", "user"),
                  medium(0, "user"), text("猫 both\ncats", "assistant"),
                  medium(1, "user"), text("and?", "user"), text("a dog", "assistant")], *media),
        row("b", [text("only text")]),
        row("c", [medium(0, kind="video"), medium(1), text("a clip and a still")], clip, media[0]),
        row("d", [medium(0)], media[1]),
        row("e", [medium(0), text("two"), text("texts")], media[1]),
    )  # fmt: skip
    commit = write("jsonl", tmp_path, table)
    assert (commit.rows, commit.quarantined) == (5, [])
    found = [loaded(line, tmp_path / "out") for line in lines(tmp_path)]
    assert found == [
        [
            {"role": "user", "content": ["compare", IMAGES[2], "with", IMAGES[0]]},
            {"role": "assistant", "content": ["猫 both\ncats"]},
            {"role": "user", "content": [IMAGES[1], "and?"]},
            {"role": "assistant", "content": ["a dog"]},
        ],
        [{"role": "assistant", "content": ["only text"]}],
        [
            {"role": "user", "content": [b"a clip", IMAGES[0]]},
            {"role": "assistant", "content": ["a clip and a still"]},
        ],
        [{"role": "user", "content": [IMAGES[1]]}],
        [
            {"role": "user", "content": [IMAGES[1]]},
            {"role": "assistant", "content": ["two\ntexts"]},
        ],
    ]
    third = lines(tmp_path)[2]
    assert third["video"].endswith("-0.mp4")
    assert third["image"].endswith("-1.jpg")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([medium(0), text("an <image> tag")],
         ("the text contains <image>, which Qwen's loader would read as a placeholder of an "
         "image or video")),
        ([medium(0), text("a <video> tag")],
         ("the text contains <video>, which Qwen's loader would read as a placeholder of an "
         "image or video")),
        ([medium(0, "user"), text("my <image>?", "user"), text("yes", "assistant")],
         ("the text contains <image>, which Qwen's loader would read as a placeholder of an "
         "image or video")),
        ([text("see"), medium(0)], ("an assistant turn contains images, which only user turns "
                                   "may contain")),
        ([text("be brief", "system"), text("hi", "user"), text("hi", "assistant")],
         ("the record has a turn of the role system, which Qwen's loader would read as a "
         "turn of the assistant")),
        ([text(None)], "the record has neither text nor media"),
    ],
)  # fmt: skip
def test_a_record_that_the_loader_would_misread_is_quarantined_with_the_reason(
    tmp_path: Path, content: list[Any], fault: str
) -> None:
    media = tar(tmp_path / "in.tar", IMAGES)
    table = records(row("fine", [medium(0), text("fine")], media[1]), row("a", content, media[0]))
    commit = write("jsonl", tmp_path, table)
    assert commit.rows == 1
    assert [(q.origin, q.error, q.message) for q in commit.quarantined] == [
        ("in#a", "RowError", fault)
    ]
    (line,) = lines(tmp_path)
    assert loaded(line, tmp_path / "out")[0]["content"] == [IMAGES[1]]
    assert len([p for p in (tmp_path / "out" / "media").rglob("*") if p.is_file()]) == 1


def test_missing_media_quarantine_their_row_and_no_other(tmp_path: Path) -> None:
    media = tar(tmp_path / "in.tar", IMAGES)
    missing = {"kind": "image", "uri": "missing.jpg"}
    table = records(
        row("tag", [text("<image>")]),
        row("missing", [medium(0), text("x")], missing),
        row("fine", [medium(0), text("fine")], media[0]),
    )
    commit = write("jsonl", tmp_path, table)
    assert [q.origin for q in commit.quarantined] == ["in#tag", "in#missing"]
    assert [line["id"] for line in lines(tmp_path)] == [table["id"][2].as_py()]


def test_all_shards_together_have_every_record_once_and_name_all_media_files(
    tmp_path: Path,
) -> None:
    table = captioned(tmp_path, 30)
    commits, files = write_all("jsonl", tmp_path, table, 3)
    assert {line["id"] for line in lines(tmp_path)} == set(table["id"].to_pylist())
    written = [p for p in (tmp_path / "out" / "media").rglob("*") if p.is_file()]
    entries = [f for c in commits for f in c.files]
    names = [f"data-{n:05d}-of-00003.jsonl" for n in range(3)]
    assert [c.files[0].name for c in commits] == names
    assert len(entries) == 3 + len(written) == 33
    for entry in entries:
        path = tmp_path / "out" / entry.name
        assert (entry.size_bytes, entry.digest) == (path.stat().st_size, file_digest(str(path)))
    assert [f.name for f in files] == ["shards.json"]


def test_writing_again_writes_the_same_bytes(tmp_path: Path) -> None:
    table = captioned(tmp_path, 12)
    first = write("jsonl", tmp_path, table)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert write("jsonl", tmp_path, table) == first
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before
