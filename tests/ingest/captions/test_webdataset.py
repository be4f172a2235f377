"""A complete sample of a WebDataset tar becomes one record; big tars are read in splits."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions import webdataset
from curate.ingest.captions.webdataset import WebDataset
from curate.ingest.reader import BATCH_ROWS, Head, Split
from manifests import record, storage
from manifests.storage import File
from tests.ingest.tars import JPEG, PNG, SAMPLE, WEBP, failures, read_samples, shard
from tests.make import read_all, splits


def test_a_sample_is_its_image_its_caption_and_its_other_fields(tmp_path: Path) -> None:
    fields = {"caption": "a cat", "url": "http://x/1", "exif": '{"a": 1}', "width": 64, "n": None}
    reader = shard(
        tmp_path,
        [("000.jpg", JPEG), ("000.json", json.dumps(fields).encode()), ("000.txt", b"a cat\n")],
    )
    assert read_samples(reader, tmp_path) == [
        {
            "origin": "a.tar#000",
            "text": "a cat",
            "meta": {"url": "http://x/1", "exif": '{"a": 1}', "width": 64, "n": None},
            "bytes": [JPEG],
            "sizes": [("image/jpeg", 64, 48)],
        }
    ]
    assert failures(reader, tmp_path) == []


def test_identity_is_of_source_tar_and_key(tmp_path: Path) -> None:
    [found] = read_all(shard(tmp_path, [("d/000.jpg", JPEG)]), str(tmp_path))
    assert found.records["id"].to_pylist() == [record.record_id("web", "a.tar#d/000")]


def test_samples_are_neighbours_of_one_name_up_to_the_first_dot(tmp_path: Path) -> None:
    members = [
        ("d/0.jpg", JPEG),
        ("d/0.TXT", b"zero"),
        ("e.f/0.v1.png", PNG),
        ("e.f/0.txt", b"one"),
    ]
    rows = read_samples(shard(tmp_path, members), tmp_path)
    assert [(r["origin"], r["text"], r["bytes"]) for r in rows] == [
        ("a.tar#d/0", "zero", [JPEG]),
        ("a.tar#e.f/0", "one", [PNG]),
    ]


def test_all_images_of_a_sample_are_its_media_in_the_order_of_the_tar(tmp_path: Path) -> None:
    reader = shard(
        tmp_path,
        [
            ("0.0.jpg", JPEG),
            ("0.1.png", PNG),
            ("0.webp", WEBP),
            ("0.txt", b"three"),
            ("1.jpg", JPEG),
        ],
    )
    rows = read_samples(reader, tmp_path)
    assert [(r["text"], r["bytes"]) for r in rows] == [("three", [JPEG, PNG, WEBP]), (None, [JPEG])]
    assert rows[0]["sizes"] == [
        ("image/jpeg", 64, 48),
        ("image/png", 32, 40),
        ("image/webp", 20, 10),
    ]
    [found] = read_all(reader, str(tmp_path))
    assert [s["loss"] for s in found.records["content"][0].as_py()] == [False, False, False, True]


def test_an_image_without_a_caption_is_a_record_of_the_image_alone(tmp_path: Path) -> None:
    members = [
        ("0.jpg", JPEG),
        ("1.jpg", JPEG),
        ("1.txt", b" \n"),
        ("2.jpg", JPEG),
        ("2.json", b"{}"),
    ]
    rows = read_samples(shard(tmp_path, members), tmp_path)
    assert [(r["text"], r["meta"]) for r in rows] == [(None, None)] * 3


@pytest.mark.parametrize(
    ("setting", "text", "meta"),
    [
        (
            ("txt", "caption", "text"),
            "side",
            {"caption": "field", "text": "more", "alt": ["b", "c"]},
        ),
        (("caption",), "field", {"text": "more", "alt": ["b", "c"]}),
        ("text", "more", {"caption": "field", "alt": ["b", "c"]}),
        (("absent", "cap"), "other", {"caption": "field", "text": "more", "alt": ["b", "c"]}),
        (("alt",), "b", {"caption": "field", "text": "more", "alt": ["b", "c"]}),
        ((), None, {"caption": "field", "text": "more", "alt": ["b", "c"]}),
    ],
)
def test_captions_are_taken_in_the_order_of_the_setting(
    tmp_path: Path, setting: Any, text: str | None, meta: dict[str, Any]
) -> None:
    fields = json.dumps({"caption": "field", "text": "more", "alt": ["b", "c"]}).encode()
    members = [("0.jpg", JPEG), ("0.json", fields), ("0.txt", b"side"), ("0.cap", b"other")]
    shard(tmp_path, members)
    reader = WebDataset(name="web", path="a.tar", caption=setting)
    assert [(r["text"], r["meta"]) for r in read_samples(reader, tmp_path)] == [(text, meta)]


def test_json_as_python_writes_it_is_read(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"caption": "a", "similarity": NaN, "far": 1e999}'
    rows = read_samples(shard(tmp_path, [("0.jpg", JPEG), ("0.json", data)]), tmp_path)
    assert [(r["text"], r["meta"]) for r in rows] == [("a", {"similarity": None, "far": None})]


def test_hidden_members_and_those_without_a_dot_belong_to_no_sample(tmp_path: Path) -> None:
    members = [
        ("README", b"x"),
        ("0.jpg", JPEG),
        ("._0.jpg", b"x"),
        (".DS_Store", b"x"),
        ("0.txt", b"a"),
    ]
    reader = shard(tmp_path, members)
    assert [(r["origin"], r["text"]) for r in read_samples(reader, tmp_path)] == [("a.tar#0", "a")]
    assert failures(reader, tmp_path) == []


def hollow(path: Path, keys: list[str], hole_bytes: int) -> WebDataset:
    """Samples that are an image and a hole: a big tar that takes no room."""
    with (path / "a.tar").open("wb") as out:
        for key in keys:
            for name, data, size in [("jpg", JPEG, len(JPEG)), ("npy", b"", hole_bytes)]:
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = size
                out.write(info.tobuf() + data)
                out.seek(-(-(out.tell() + size - len(data)) // 512) * 512)
        out.write(bytes(1024))
    return WebDataset(name="web", path="a.tar")


def test_a_big_tar_is_cut_where_samples_start(tmp_path: Path) -> None:
    reader = hollow(tmp_path, list("abcde"), 600 << 20)
    sample_bytes = 1024 + -(-len(JPEG) // 512) * 512 + (600 << 20)
    [file] = reader.list_files(str(tmp_path))
    assert splits(reader, str(tmp_path)) == [
        Split((file,), 0, 2 * sample_bytes),
        Split((file,), 2 * sample_bytes, 4 * sample_bytes),
        Split((file,), 4 * sample_bytes, -1),
    ]
    assert [r["origin"] for r in read_samples(reader, tmp_path)] == [
        f"a.tar#{key}" for key in "abcde"
    ]
    assert failures(reader, tmp_path) == []


def test_a_big_tar_is_cut_by_the_number_of_samples_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webdataset, "SPLIT_SAMPLES", 3)
    reader = hollow(tmp_path, list("abcdefg"), 200 << 20)
    counts = [found.records.num_rows for found in read_all(reader, str(tmp_path))]
    assert counts == [3, 3, 1]


def test_a_big_tar_with_a_repeated_key_is_one_split_so_that_it_is_found(tmp_path: Path) -> None:
    reader = hollow(tmp_path, list("abcda"), 600 << 20)
    assert len(splits(reader, str(tmp_path))) == 1
    assert [f.key for f in failures(reader, tmp_path)] == ["a.tar#a", "a.tar#a"]


def test_records_come_in_batches(tmp_path: Path) -> None:
    reader = shard(tmp_path, [(f"{n}.png", PNG) for n in range(BATCH_ROWS + 1)])
    counts = [found.records.num_rows for found in read_all(reader, str(tmp_path))]
    assert counts == [BATCH_ROWS, 1]


def test_a_tar_is_sniffed_by_the_name_of_an_image_or_if_it_is_empty(tmp_path: Path) -> None:
    def sniffed(members: list[tuple[str, bytes]]) -> bool:
        shard(tmp_path, members)
        data = (tmp_path / "a.tar").read_bytes()
        return WebDataset.sniff(Head(File("a.tar", "a.tar", len(data), 0), data[:4096]))

    assert sniffed([("d/0.JPG", JPEG * 9)])
    assert sniffed([("0.cls", b"1"), ("0.png", PNG)])
    assert not sniffed([("0.mp4", b"x" * 9000)])
    assert sniffed([])
    assert not WebDataset.sniff(Head(File("a.tar", "a.tar", 9, 0), b"not a tar"))


def test_a_remote_tar_becomes_the_same_records(tmp_path: Path, bucket: str) -> None:
    local = shard(tmp_path, [(f"{n}.{end}", d) for n in range(9) for end, d in SAMPLE])
    storage.write_bytes(f"s3://tars/a.tar{bucket}", (tmp_path / "a.tar").read_bytes())
    remote = WebDataset(name="web", path=f"s3://tars/*.tar{bucket}")
    rows = read_samples(remote, tmp_path)
    assert [r.pop("origin") for r in rows] == [f"s3://tars/a.tar{bucket}#{n}" for n in range(9)]
    assert rows == [
        {k: v for k, v in r.items() if k != "origin"} for r in read_samples(local, tmp_path)
    ]


def test_real_tars_give_one_record_for_each_image(real_data: Path) -> None:
    reader = WebDataset(name="web", path="clip_retrieval_tests/test_tars/*.tar")
    base = real_data / "captions"
    rows = read_samples(reader, base)
    assert failures(reader, base) == []
    assert [r["origin"] for r in rows][:2] == [
        "clip_retrieval_tests/test_tars/image1.tar#123_456",
        "clip_retrieval_tests/test_tars/image1.tar#208_495",
    ]
    assert len(rows) == 11
    loose = base / "clip_retrieval_tests/test_images"
    for row in rows:
        assert row["bytes"] == [(loose / f"{row['origin'].partition('#')[2]}.jpg").read_bytes()]


TURNS = [
    {"from": "human", "value": "<image> and <image>?"},
    {"from": "gpt", "value": "Two."},
]


def test_a_sample_with_a_conversation_is_a_chat_of_its_images(tmp_path: Path) -> None:
    members = [("0.a.jpg", JPEG), ("0.b.png", PNG), ("0.json", b""), ("0.txt", b"Two images.")]
    members[2] = ("0.json", json.dumps({"conversations": TURNS, "w": 1}).encode())
    reader = shard(tmp_path, members)
    [found] = read_all(reader, str(tmp_path))
    assert found.failures == []
    [row] = found.records.to_pylist()
    assert row["modality"] == "chat"
    assert [(s["role"], s["text"], s["media"], s["loss"]) for s in row["content"]] == [
        ("user", None, 0, False),
        ("user", "and", None, False),
        ("user", None, 1, False),
        ("user", "?", None, False),
        ("assistant", "Two.", None, True),
    ]
    assert [medium["mime"] for medium in row["media"]] == ["image/jpeg", "image/png"]
    assert json.loads(row["meta"]) == {"w": 1, "txt": "Two images."}
    [row] = read_samples(reader.model_copy(update={"chats": False}), tmp_path)
    assert (row["text"], row["meta"]) == ("Two images.", {"conversations": TURNS, "w": 1})


def test_parts_name_members_and_a_wrong_conversation_is_a_failure(tmp_path: Path) -> None:
    def sample(key: str, *parts: Any) -> list[tuple[str, bytes]]:
        fields = {"messages": [{"role": "user", "content": list(parts)}]}
        data = json.dumps(fields).encode()
        return [(f"{key}.0.jpg", JPEG), (f"{key}.1.png", PNG), (f"{key}.json", data)]

    first, second = ({"type": "image", "image": f"a.{name}"} for name in ("0.jpg", "1.png"))
    reader = shard(
        tmp_path,
        [
            *sample("d/a", second, first),
            *sample("b", {"type": "image"}),
            *sample("c", {"type": "image", "image": "gone.jpg"}),
        ],
    )
    [found] = read_all(reader, str(tmp_path))
    [row] = found.records.to_pylist()
    assert [medium["mime"] for medium in row["media"]] == ["image/png", "image/jpeg"]
    assert [failure.message.partition(",")[0] for failure in found.failures] == [
        "the turns have 1 <image> tags or parts",
        "a part of a turn refers to the image 'gone.jpg'",
    ]


def test_messages_that_are_no_conversation_stay_a_field(tmp_path: Path) -> None:
    fields = {"messages": ["hello"], "conversations": 3}
    reader = shard(tmp_path, [("0.jpg", JPEG), ("0.json", json.dumps(fields).encode())])
    [row] = read_samples(reader, tmp_path)
    assert row["meta"] == fields
