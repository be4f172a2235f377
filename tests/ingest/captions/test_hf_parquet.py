"""Hugging Face parquet: captions and chats, images by bytes or by path."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest.captions.hf_parquet import HfParquet
from curate.ingest.media_root import _FIX_FULL, _FIX_URL
from curate.ingest.reader import Head, ReadBatch
from manifests.errors import InputError
from manifests.media import FIX_MISSING_FILE
from manifests.storage import File
from tests.ingest.expected import caption_record
from tests.ingest.kept import kept_bytes, read_kept
from tests.make import make_image, read_all

ONE, TWO, THREE = make_image(64, 48), make_image(20, 10, kind="PNG"), make_image(32, 32, 3)
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TURN = pa.struct([("from", pa.string()), ("value", pa.string())])
TURNS = [
    {"from": "human", "value": "<image>\nWhat is it?"},
    {"from": "gpt", "value": "A thing."},
]


def of(data: bytes | None, path: str | None = None) -> dict[str, Any]:
    return {"bytes": data, "path": path}


def read(folder: Path, columns: dict[str, Any], **settings: Any) -> ReadBatch:
    pq.write_table(pa.table(columns), folder / "a.parquet")
    (found,) = read_kept(HfParquet(name="hf", path="a.parquet", **settings), folder)
    return found


def contents(found: ReadBatch) -> list[list[Any]]:
    """Of each record: its texts, and the index of each of its images."""
    rows = found.records["content"].to_pylist()
    return [[s["text"] if s["kind"] == "text" else s["media"] for s in row] for row in rows]


def messages(found: ReadBatch) -> list[tuple[str, str]]:
    return [(f.key, f.message) for f in found.failures]


def test_a_caption_is_an_image_kept_byte_for_byte_and_its_text(tmp_path: Path) -> None:
    images = pa.array([of(ONE, "a.jpg"), of(TWO)], IMAGE)
    found = read(tmp_path, {"image": images, "caption": ["a cat", "b"], "label": [7, 8]})
    row = found.records.to_pylist()[1]
    assert found.failures == []
    assert kept_bytes(tmp_path, row["media"][0]) == TWO
    assert row == caption_record(
        "hf",
        "a.parquet#1",
        "b",
        '{"label":8}',
        uri="kept:kept.bin",
        offset=len(ONE),
        length=len(TWO),
        mime="image/png",
        width=20,
        height=10,
    )


def test_a_chat_has_its_images_in_place_of_their_tags(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "First <image> then <image>"},
        {"from": "gpt", "value": "Both."},
    ]
    columns = {
        "id": ["x"],
        "images": pa.array([[of(ONE), of(TWO)]], pa.list_(IMAGE)),
        "conversations": pa.array([turns], pa.list_(TURN)),
    }
    found = read(tmp_path, columns)
    (row,) = found.records.to_pylist()
    assert row["modality"] == "chat"
    assert row["meta"] == '{"id":"x"}'
    assert [kept_bytes(tmp_path, medium) for medium in row["media"]] == [ONE, TWO]
    assert [(m["mime"], m["width"], m["height"]) for m in row["media"]] == [
        ("image/jpeg", 64, 48),
        ("image/png", 20, 10),
    ]
    assert row["content"] == [
        {"kind": "text", "text": "First", "media": None, "role": "user", "loss": False},
        {"kind": "image", "text": None, "media": 0, "role": "user", "loss": False},
        {"kind": "text", "text": "then", "media": None, "role": "user", "loss": False},
        {"kind": "image", "text": None, "media": 1, "role": "user", "loss": False},
        {"kind": "text", "text": "Both.", "media": None, "role": "assistant", "loss": True},
    ]


def test_a_chat_without_an_image_is_one_of_text_if_null_empty_or_absent(
    tmp_path: Path,
) -> None:
    hello = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]
    chats = pa.array([hello, hello, TURNS], pa.list_(TURN))
    for images in (
        pa.array([None, of(None), of(ONE)], IMAGE),
        pa.array([None, [], [of(ONE)]], pa.list_(IMAGE)),
        pa.array([None, [], [of(ONE)]], pa.large_list(IMAGE)),
    ):
        name = "images" if pa.types.is_struct(images.type) is False else "image"
        found = read(tmp_path, {name: images, "conversations": chats})
        assert found.failures == []
        assert contents(found) == [
            ["Hi", "Hello."],
            ["Hi", "Hello."],
            [0, "What is it?", "A thing."],
        ]


def test_a_table_of_chats_without_any_column_of_images_is_read(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    found = read(tmp_path, {"messages": [turns]})
    assert contents(found) == [["Hi", "Hello."]]
    assert found.records["media"].to_pylist() == [[]]


def test_messages_may_have_their_content_in_parts(tmp_path: Path) -> None:
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "What?"}]
    turns = [{"role": "user", "content": parts}]
    found = read(tmp_path, {"image": pa.array([of(ONE)], IMAGE), "messages": [turns]})
    assert contents(found) == [[0, "What?"]]


def test_a_chat_with_more_or_fewer_tags_than_images_is_a_failure_and_keeps_nothing(
    tmp_path: Path,
) -> None:
    images = pa.array([[of(ONE)], [of(ONE), of(TWO)], []], pa.list_(IMAGE))
    chats = pa.array([TURNS, TURNS, None], pa.list_(TURN))
    found = read(tmp_path, {"images": images, "conversations": chats})
    assert found.records.num_rows == 1
    fix = "Write one <image> tag for each image of the sample, in a user turn."
    assert messages(found) == [
        (
            "a.parquet#1",
            f"the turns have 1 <image> tags or parts, but the sample has 2 images. {fix}",
        ),
        ("a.parquet#2", "the conversation has no turns"),
    ]
    assert (tmp_path / "kept.bin").read_bytes() == ONE


def test_one_bad_image_fails_its_whole_row(tmp_path: Path) -> None:
    images = pa.array([[of(ONE), of(b"<html>")], [of(ONE), None], [of(TWO)]], pa.list_(IMAGE))
    found = read(tmp_path, {"images": images, "text": ["a", "b", "c"]})
    assert contents(found) == [[0, "c"]]
    assert [m for m in messages(found) if m[0] == "a.parquet#1"] == [
        ("a.parquet#1", "the image of the row has neither bytes nor a path")
    ]
    assert [f.error for f in found.failures] == ["MediaError", "RowError"]


def test_a_caption_of_several_images_has_them_all_before_its_text(tmp_path: Path) -> None:
    images = pa.array([[of(ONE), of(TWO)], [of(THREE)], [], None], pa.list_(IMAGE))
    found = read(tmp_path, {"images": images, "text": ["both", None, "none", "none"]})
    assert contents(found) == [[0, 1, "both"], [0]]
    assert messages(found) == [
        ("a.parquet#2", "the row has no image: its image column is empty"),
        ("a.parquet#3", "the row has no image: its image column is empty"),
    ]


def test_a_caption_without_image_is_a_failure_and_one_without_text_is_not(
    tmp_path: Path,
) -> None:
    images = pa.array([of(ONE), None, of(None), of(TWO)], IMAGE)
    found = read(tmp_path, {"image": images, "text": [None, "b", "c", ""]})
    assert contents(found) == [[0], [0]]
    assert messages(found) == [
        ("a.parquet#1", "the row has no image: its image column is empty"),
        ("a.parquet#2", "the row has no image: its image column is empty"),
    ]


def test_an_image_without_bytes_is_opened_by_its_path_below_media_root(tmp_path: Path) -> None:
    (tmp_path / "media" / "sub").mkdir(parents=True)
    (tmp_path / "media" / "sub" / "a.jpg").write_bytes(ONE)
    paths = ["sub/a.jpg", "none.jpg", "../a.parquet", "/etc/passwd", "http://x/a.jpg", "a\0.jpg"]
    columns = {"image": pa.array([of(None, p) for p in paths], IMAGE), "text": list("abcdef")}
    found = read(tmp_path, columns, media_root="media")
    (row,) = found.records.to_pylist()
    assert (row["media"][0]["uri"], row["media"][0]["offset"]) == ("media/sub/a.jpg", None)
    assert messages(found) == [
        ("a.parquet#1", f"media/none.jpg: there is no such file. {FIX_MISSING_FILE}"),
        ("a.parquet#2", "'../a.parquet' is outside media_root"),
        ("a.parquet#3", f"'/etc/passwd' is not a path below media_root. {_FIX_FULL}"),
        ("a.parquet#4", f"'http://x/a.jpg' is not a path below media_root. {_FIX_URL}"),
        ("a.parquet#5", "'a\\x00.jpg' is not a path below media_root"),
    ]


def test_a_path_without_media_root_is_a_failure_that_names_the_setting(tmp_path: Path) -> None:
    found = read(tmp_path, {"image": pa.array([of(None, "a.jpg")], IMAGE), "text": ["a"]})
    assert messages(found) == [
        (
            "a.parquet#0",
            "the image has no bytes, only the path 'a.jpg'. Set media_root to the folder of the "
            "image.",
        )
    ]


def test_a_missing_media_root_is_an_input_error(tmp_path: Path) -> None:
    columns = {"image": pa.array([of(ONE)], IMAGE), "text": ["a"]}
    with pytest.raises(InputError, match=r"^nowhere: there is no such folder"):
        read(tmp_path, columns, media_root="nowhere")


def test_naming_the_text_makes_captions_even_of_chats(tmp_path: Path) -> None:
    columns = {
        "image": pa.array([of(ONE)], IMAGE),
        "conversations": pa.array([TURNS], pa.list_(TURN)),
        "short": ["a cat"],
    }
    assert contents(read(tmp_path, columns, text="short")) == [[0, "a cat"]]
    assert contents(read(tmp_path, columns, text=[])) == [[0]]


def test_the_first_of_a_list_of_captions_is_taken_and_all_stay_in_meta(tmp_path: Path) -> None:
    columns = {"image": pa.array([of(ONE)], IMAGE), "caption": [["a cat", "one cat"]]}
    found = read(tmp_path, columns)
    assert contents(found) == [[0, "a cat"]]
    assert found.records["meta"].to_pylist() == ['{"caption":["a cat","one cat"]}']


def test_text_columns_in_any_case_are_found_and_a_missing_one_is_an_input_error(
    tmp_path: Path,
) -> None:
    images = pa.array([of(ONE)], IMAGE)
    assert contents(read(tmp_path, {"image": images, "Text": ["a"]})) == [[0, "a"]]
    with pytest.raises(
        InputError,
        match="the table has no text column with a usual name",
    ):
        read(tmp_path, {"image": images, "sentence": ["a"]})
    with pytest.raises(InputError, match=r"no column 'sentense'\. Did you mean 'sentence'\?"):
        read(tmp_path, {"image": images, "sentence": ["a"]}, text="sentense")


def test_text_that_is_not_utf8_is_a_failure_of_its_row(tmp_path: Path) -> None:
    texts = pa.array([b"one", b"\xff"]).view(pa.string())
    found = read(tmp_path, {"image": pa.array([of(ONE), of(TWO)], IMAGE), "text": texts})
    assert contents(found) == [[0, "one"]]
    assert [(f.key, f.error) for f in found.failures] == [("a.parquet#1", "RowError")]
    chats = pa.array([TURNS, TURNS], pa.list_(TURN))
    columns = {"image": pa.array([of(ONE), of(TWO)], IMAGE), "conversations": chats, "id": texts}
    assert [f.key for f in read(tmp_path, columns).failures] == ["a.parquet#1"]


def test_images_may_be_bare_bytes(tmp_path: Path) -> None:
    found = read(tmp_path, {"image": pa.array([ONE, None], pa.large_binary()), "text": ["a", "b"]})
    assert contents(found) == [[0, "a"]]
    assert messages(found) == [("a.parquet#1", "the row has no image: its image column is empty")]


def test_a_table_without_rows_has_no_records(tmp_path: Path) -> None:
    for kind in (IMAGE, pa.list_(IMAGE)):
        table = pa.table({"images": pa.array([], kind), "text": pa.array([], pa.string())})
        pq.write_table(table, tmp_path / "a.parquet")
        found = read_kept(HfParquet(name="hf", path="a.parquet"), tmp_path)
        assert sum(f.records.num_rows + len(f.failures) for f in found) == 0


def test_a_table_without_images_is_an_input_error_that_names_other_readers(
    tmp_path: Path,
) -> None:
    pq.write_table(pa.table({"url": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(
        InputError, match=r"a\.parquet: the table has no column `image` or `images` .*url_table"
    ):
        read_all(HfParquet(name="hf", path="a.parquet"), str(tmp_path))


def test_columns_of_images_and_of_chats_are_sniffed(tmp_path: Path) -> None:
    tables = {
        "struct": pa.table({"image": pa.array([of(ONE)], IMAGE)}),
        "list": pa.table({"images": pa.array([[of(ONE)]], pa.list_(IMAGE))}),
        "chat": pa.table({"messages": pa.array([TURNS], pa.list_(TURN))}),
        "obelics": pa.table({"images": [["http://x"]], "texts": [["a"]]}),
        "path": pa.table({"image": ["a.jpg"]}),
        "jpg": pa.table({"jpg": [ONE]}),
    }
    sniffed = set()
    for name, table in tables.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(table, path)
        if HfParquet.sniff(Head(File(str(path), path.name, 1, 0), b"PAR1")):
            sniffed.add(name)
    assert sniffed == {"struct", "list", "chat"}


@pytest.mark.parametrize(
    "kind",
    [
        pa.binary_view(),
        pa.large_binary(),
        pa.struct([("bytes", pa.binary_view()), ("path", pa.string_view())]),
        pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())]),
        pa.struct([("bytes", pa.binary()), ("path", pa.null())]),
        pa.struct([("bytes", pa.binary()), ("path", pa.dictionary(pa.int32(), pa.string()))]),
    ],
)
def test_images_of_any_arrow_type_of_bytes_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    images: list[Any] = [ONE, TWO] * 6
    if pa.types.is_struct(kind):
        images = [of(data) for data in images]
    words = pa.array([str(n) for n in range(12)], pa.string_view())
    found = read(tmp_path, {"image": pa.array(images, kind), "caption": words})
    assert found.failures == []
    assert contents(found) == [[0, str(n)] for n in range(12)]
    kept = [kept_bytes(tmp_path, row["media"][0]) for row in found.records.to_pylist()]
    assert kept == [ONE, TWO] * 6


@pytest.mark.parametrize("new_list", [pa.large_list, pa.list_view, partial(pa.list_, list_size=2)])
def test_chats_of_any_arrow_type_of_lists_are_read(tmp_path: Path, new_list: Any) -> None:
    columns = {
        "images": pa.array([[of(ONE)]], pa.large_list(IMAGE)),
        "conversations": pa.array([TURNS], new_list(TURN)),
    }
    assert contents(read(tmp_path, columns)) == [[0, "What is it?", "A thing."]]


def test_a_chat_stored_as_a_struct_of_lists_is_read(tmp_path: Path) -> None:
    kind = pa.struct([("from", pa.list_(pa.string())), ("value", pa.large_list(pa.string()))])
    turns = {name: [turn[name] for turn in TURNS] for name in ("from", "value")}
    broken = {"from": ["human"], "value": []}
    columns = {
        "image": pa.array([of(ONE), of(TWO)], IMAGE),
        "conversations": pa.array([turns, broken], kind),
    }
    found = read(tmp_path, columns)
    assert contents(found) == [[0, "What is it?", "A thing."]]
    assert [f.key for f in found.failures] == ["a.parquet#1"]


def test_parts_of_a_chat_show_the_images_that_they_name(tmp_path: Path) -> None:
    part = pa.struct([("type", pa.string()), ("text", pa.string()), ("index", pa.int64())])
    turn = pa.struct([("role", pa.string()), ("content", pa.list_(part))])
    parts = [{"type": "image", "index": 1}, {"type": "text", "text": "then"}]
    messages_of_row = [{"role": "user", "content": [*parts, {"type": "image", "index": 0}]}]
    columns = {
        "images": pa.array([[of(ONE), of(TWO)]], pa.list_(IMAGE)),
        "messages": pa.array([messages_of_row], pa.list_(turn)),
    }
    [row] = read(tmp_path, columns).records.to_pylist()
    assert [kept_bytes(tmp_path, one) for one in row["media"]] == [TWO, ONE]
    assert [segment["media"] for segment in row["content"]] == [0, None, 1]


def test_a_chat_may_have_the_paths_of_its_images(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(ONE)
    columns = {"images": [["a.jpg"]], "conversations": pa.array([TURNS], pa.list_(TURN))}
    [row] = read(tmp_path, columns, media_root=".").records.to_pylist()
    assert [one["uri"] for one in row["media"]] == ["./a.jpg"]


def test_columns_may_have_dots_in_their_names(tmp_path: Path) -> None:
    columns = {"image": pa.array([of(ONE)], IMAGE), "a.b": ["a cat"], "c.d": [{"e.f": 1}]}
    [row] = read(tmp_path, columns, text="a.b").records.to_pylist()
    assert (row["content"][1]["text"], row["meta"]) == ("a cat", '{"c.d":{"e.f":1}}')
