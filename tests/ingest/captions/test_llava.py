"""Conversations in arrays and lines become chats; a broken one is a failure of its own."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions import llava
from curate.ingest.captions.llava import Llava
from curate.ingest.reader import Context, Count
from manifests import record
from manifests.errors import InputError
from manifests.media import Media
from manifests.media.blobs import BlobFile
from tests.ingest.captions.chats import (
    ANSWER,
    CAT,
    CAT_CONTENT,
    CAT_PNG,
    DOG,
    DOG_CONTENT,
    DOG_JPEG,
    contents,
    read,
    segment,
    write_images,
)
from tests.ingest.expected import kinds
from tests.ingest.kept import kept_bytes, read_kept
from tests.make import make_image, read_all, splits


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_images(tmp_path)


def image_entry(uri: str, length: int, mime: str, width: int, height: int) -> dict[str, Any]:
    nothing = dict.fromkeys(field.name for field in record.MEDIA)
    fields = {"uri": uri, "length": length, "mime": mime, "width": width, "height": height}
    return {**nothing, "kind": "image", **fields}


def test_a_sample_becomes_a_chat_record_with_its_images_sizes(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, json.dumps([DOG]).encode())
    assert failures == []
    assert rows == [
        {
            "id": record.record_id("own", "a.json#0"),
            "modality": "chat",
            "source": "own",
            "origin": "a.json#0",
            "content": DOG_CONTENT,
            "media": [image_entry("dog.jpg", len(DOG_JPEG), "image/jpeg", 64, 48)],
            "objects": [],
            "language": None,
            "raw_text": None,
            "meta": '{"id":"x1"}',
        }
    ]


def test_messages_and_images_are_read_as_conversations_and_image(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, json.dumps([CAT]).encode())
    assert failures == []
    assert contents(rows) == [CAT_CONTENT]
    assert rows[0]["media"] == [image_entry("sub/cat.png", len(CAT_PNG), "image/png", 32, 16)]
    assert rows[0]["meta"] is None


def test_images_are_in_the_order_of_their_tags(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image> or <image>?"}, ANSWER]
    sample = {"image": ["sub/cat.png", "dog.jpg"], "conversations": turns}
    rows, _ = read(tmp_path, json.dumps([sample]).encode())
    assert [m["uri"] for m in rows[0]["media"]] == ["sub/cat.png", "dog.jpg"]
    assert [s["media"] for s in rows[0]["content"]] == [0, None, 1, None, None]


@pytest.mark.parametrize("nothing", [{}, {"image": None}, {"image": ""}, {"images": []}])
def test_a_conversation_without_images_is_a_chat_of_text(
    tmp_path: Path, nothing: dict[str, Any]
) -> None:
    sample = {**nothing, "conversations": [{"from": "human", "value": "Hi"}, ANSWER]}
    rows, failures = read(tmp_path, json.dumps([sample]).encode())
    assert failures == []
    assert (rows[0]["media"], len(rows[0]["content"])) == ([], 2)


def test_a_system_prompt_beside_the_turns_is_the_first_of_them(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, json.dumps([{**DOG, "system": "Be brief."}]).encode())
    assert contents(rows) == [[segment("text", "Be brief.", None, "system"), *DOG_CONTENT]]


def test_arrays_and_lines_give_the_same_and_are_recognised_by_content(tmp_path: Path) -> None:
    both = [DOG, CAT]
    as_lines = "\n".join(json.dumps(sample) for sample in both).encode()
    layouts = {
        "a.json": json.dumps(both).encode(),
        "b.json": json.dumps(both, indent=4).encode(),
        "c.jsonl": json.dumps(both).encode(),
        "d.json": as_lines,
        "e.jsonl": as_lines.replace(b"\n", b"\r\n\r\n") + b"\r\n",
        "f.jsonl": b"\xef\xbb\xbf" + as_lines,
        "g.json": b"\xef\xbb\xbf" + json.dumps(both).encode(),
        "h.jsonl.gz": gzip.compress(as_lines),
        "i.json.gz": gzip.compress(json.dumps(both).encode()),
    }
    for name, data in layouts.items():
        rows, failures = read(tmp_path, data, name)
        assert (contents(rows), failures) == ([DOG_CONTENT, CAT_CONTENT], []), name


def test_an_element_is_counted_from_0_and_a_line_from_1(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, json.dumps([DOG, CAT]).encode())
    assert [row["origin"] for row in rows] == ["a.json#0", "a.json#1"]
    rows, _ = read(tmp_path, f"{json.dumps(DOG)}\n\n{json.dumps(CAT)}".encode(), "b.jsonl")
    assert [row["origin"] for row in rows] == ["b.jsonl#1", "b.jsonl#3"]


def test_a_packed_element_is_a_record_for_each_sample_in_it(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, json.dumps([[DOG, CAT], CAT, [3, DOG]]).encode())
    assert [row["origin"] for row in rows] == ["a.json#0.0", "a.json#0.1", "a.json#1", "a.json#2.1"]
    assert contents(rows) == [DOG_CONTENT, CAT_CONTENT, CAT_CONTENT, DOG_CONTENT]
    assert kinds(failures) == [("a.json#2.0", "RowError")]
    lines = f"{json.dumps([DOG])}\n{json.dumps([CAT, DOG])}\n".encode()
    rows, failures = read(tmp_path, lines, "b.jsonl")
    assert [row["origin"] for row in rows] == ["b.jsonl#1.0", "b.jsonl#2.0", "b.jsonl#2.1"]
    assert failures == []


def test_paths_start_from_the_folder_of_the_file_or_from_media_root(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    data = json.dumps([CAT]).encode()
    assert kinds(read(tmp_path, data, "notes/a.json")[1]) == [("a.json#0", "MediaError")]
    rows, failures = read(tmp_path, data, "notes/a.json", media_root=".")
    assert ([row["media"][0]["uri"] for row in rows], failures) == (["./sub/cat.png"], [])
    (tmp_path / "notes" / "sub").mkdir()
    (tmp_path / "notes" / "sub" / "cat.png").write_bytes(make_image())
    rows, _ = read(tmp_path, data, "notes/a.json")
    assert rows[0]["media"][0]["uri"] == "notes/sub/cat.png"


def test_a_missing_media_root_is_an_error_of_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        read(tmp_path, json.dumps([DOG]).encode(), media_root="elsewhere")


def test_zero_samples_are_zero_records(tmp_path: Path) -> None:
    for data in (b"[]", b" [ ]\n", b"", b"\n\n"):
        assert read(tmp_path, data) == ([], [])


def test_splits_have_every_sample_once_with_the_same_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{**(CAT if n % 2 else DOG), "id": n} for n in range(40)]
    for name, data in {
        "a.json": json.dumps(many).encode(),
        "b.jsonl": "\n".join(json.dumps(sample) for sample in many).encode(),
    }.items():
        whole, _ = read(tmp_path, data, name)
        monkeypatch.setattr(llava, "SPLIT_BYTES", 500)
        assert len(splits(Llava(name="own", path=name), str(tmp_path))) > 5
        assert read(tmp_path, data, name) == (whole, [])
        monkeypatch.undo()


def test_qwens_own_demo_is_read_completely(real_data: Path) -> None:
    root = real_data / "grounding/qwen_spatial/qwen-vl-finetune"
    reader = Llava(name="demo", path=str(root / "demo/single_images.json"), media_root=str(root))
    found = read_all(reader)
    rows = [row for part in found for row in part.records.to_pylist()]
    assert [part.failures for part in found] == [[]]
    assert [(m["width"], m["height"]) for row in rows for m in row["media"]] == [
        (422, 359),
        (422, 359),
        (314, 281),
    ]
    assert contents(rows)[0] == [
        segment("text", "Is the value of Favorable 38 in 2015?", None, "user"),
        segment("image", None, 0, "user"),
        segment("text", "Yes", None, "assistant"),
    ]


def test_parts_of_messages_show_the_images_that_they_name(tmp_path: Path) -> None:
    def sample(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
        turns = [{"role": "user", "content": list(parts)}, {"role": "assistant", "content": "x"}]
        return {"messages": turns, **fields}

    both = ["dog.jpg", "sub/cat.png"]
    data = f"data:image/png;base64,{base64.b64encode(CAT_PNG).decode()}"
    samples = [
        sample({"type": "image", "image": "sub/cat.png"}),
        sample({"type": "image", "index": 1}, {"type": "image", "index": 0}, images=both),
        sample(
            {"type": "image", "image": both[1]}, {"type": "image", "image": both[0]}, images=both
        ),
        sample({"type": "image_url", "image_url": {"url": "dog.jpg"}}),
        sample({"type": "image_url", "image_url": {"url": data}}),
        sample({"type": "image"}, images=[{"path": "dog.jpg"}]),
    ]
    (tmp_path / "a.json").write_bytes(json.dumps(samples).encode())
    [found] = read_kept(Llava(name="own", path="a.json"), tmp_path)
    assert found.failures == []
    rows = found.records.to_pylist()
    assert [[m["uri"] for m in row["media"]] for row in rows] == [
        ["sub/cat.png"],
        ["sub/cat.png", "dog.jpg"],
        ["sub/cat.png", "dog.jpg"],
        ["dog.jpg"],
        ["kept:kept.bin"],
        ["dog.jpg"],
    ]
    assert kept_bytes(tmp_path, rows[4]["media"][0]) == CAT_PNG


def test_paths_of_images_may_be_full_file_urls_or_have_backslashes(tmp_path: Path) -> None:
    paths = [f"{tmp_path}/sub/cat.png", f"file://{tmp_path}/sub/cat.png", "sub\\cat.png",
             ".\\sub\\cat.png", "sub/cat.PNG"]  # fmt: skip
    samples = [{**CAT, "images": [path]} for path in paths]
    rows, failures = read(tmp_path, json.dumps(samples).encode())
    assert failures == []
    assert [row["media"][0]["uri"] for row in rows] == ["sub/cat.png"] * 5


def test_samples_and_failures_are_counted_by_elements_and_lines(tmp_path: Path) -> None:
    for name, data, counted in (
        ("a.json", [[DOG, CAT, 3], CAT, [], 7, [CAT]], Count("elements", 5)),
        ("b.jsonl", [DOG, 7, CAT], Count("lines", 5, {"blank": 2})),
    ):
        text = json.dumps(data) if name == "a.json" else "\n\n".join(map(json.dumps, data))
        (tmp_path / name).write_text(text)
        reader = Llava(name="own", path=name)
        [split] = splits(reader, str(tmp_path))
        context = Context(str(tmp_path), Media(str(tmp_path)), BlobFile())
        assert reader.count(split, context) == counted
        [found] = reader.read(split, context)
        units = found.records.num_rows if found.units is None else found.units
        failed = sum(failure.units for failure in found.failures)
        assert units + failed == counted.units - sum(counted.left_aside.values())
        assert sum(failure.counts_as for failure in found.failures) == len(found.failures)
