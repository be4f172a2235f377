"""The columns of a shard: conversation, media and objects of a record."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from curate.emit import rows
from manifests import record
from manifests.errors import RecipeError
from manifests.media import references
from manifests.record.segments import shown_media
from tests.emit.records import medium, records, row, text

IMAGE = {"type": "image", "text": None}
X, Y, Z = ({"kind": "image", "uri": name} for name in "xyz")
CLIP = {"kind": "video", "uri": "clip.mp4", "duration": 4.5, "fps": 30.0, "frames": 135}


def item(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def turn(role: str, *content: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(content)}


CASES = {
    "a caption: the image is the user's, the text the assistant's": (
        [medium(0), text("a cat")],
        [turn("user", IMAGE), turn("assistant", item("a cat"))],
    ),
    "an image alone is the user's": ([medium(0)], [turn("user", IMAGE)]),
    "text alone is the assistant's": (
        [text("once"), text("upon")],
        [turn("assistant", item("once"), item("upon"))],
    ),
    "a document that starts with text is all the assistant's": (
        [text("see"), medium(0), text("there")],
        [turn("assistant", item("see"), IMAGE, item("there"))],
    ),
    "only the leading media are the user's": (
        [medium(0), medium(1), text("both"), medium(0)],
        [turn("user", IMAGE, IMAGE), turn("assistant", item("both"), IMAGE)],
    ),
    "consecutive segments of one role are one message": (
        [text("be brief", "system"), text("what", "user"), medium(0, "user"),
         text("a", "assistant"), text("cat", "assistant"), text("why", "user")],
        [turn("system", item("be brief")), turn("user", item("what"), IMAGE),
         turn("assistant", item("a"), item("cat")), turn("user", item("why"))],
    ),
    "a segment without a role belongs to the message before it, or to the first": (
        [medium(0), text("what", "user"), medium(1), text("a cat", "assistant"), text("!")],
        [turn("user", IMAGE, item("what"), IMAGE), turn("assistant", item("a cat"), item("!"))],
    ),
    "segments before the first role get that role": (
        [text("x"), text("be brief", "system"), text("hi", "user")],
        [turn("system", item("x"), item("be brief")), turn("user", item("hi"))],
    ),
    "a null text is left out, an empty one stays": (
        [medium(0), text(None), text("")],
        [turn("user", IMAGE), turn("assistant", item(""))],
    ),
    "a null text between media does not separate them": (
        [medium(0), text(None), medium(1), text("x")],
        [turn("user", IMAGE, IMAGE), turn("assistant", item("x"))],
    ),
    "a literal tag is text": (
        [medium(0), text("<image> 猫 \U0001f408")],
        [turn("user", IMAGE), turn("assistant", item("<image> 猫 \U0001f408"))],
    ),
    "a record without segments has no messages": ([], []),
}  # fmt: skip


def built(name: str, table: pa.Table) -> list[Any]:
    made: list[Any] = rows.columns(table, rows.schema(table.schema, []))[name].to_pylist()
    return made


@pytest.mark.parametrize("name", CASES)
def test_messages(name: str) -> None:
    content, messages = CASES[name]
    assert built("messages", records(row("a", content, X, Y))) == [messages]


def test_messages_of_many_records_are_those_of_each() -> None:
    table = records(*(row(name, CASES[name][0], X, Y) for name in CASES))
    assert built("messages", table) == [messages for _, messages in CASES.values()]
    assert built("messages", table.slice(3, 4)) == built("messages", table)[3:7]
    assert built("messages", table.slice(0, 0)) == []


def test_images_are_in_the_order_of_the_segments_that_show_them() -> None:
    table = records(
        row("a", [medium(1), text("t"), medium(0), medium(1)], X, Y, Z),
        row("b", [text("none")]),
        row("c", [medium(0)], Z),
    )
    shown = shown_media(table, "image")
    assert shown.offsets.tolist() == [0, 3, 3, 4]
    assert [ref.uri for ref in references(shown.media)] == ["y", "x", "y", "z"]


def test_cameras_are_in_the_order_of_the_images_or_empty_if_none_is_known() -> None:
    seen = X | {"camera": [1, 2, 3, 4]}
    table = records(
        row("a", [medium(1), medium(0), medium(1)], Y, seen),
        row("b", [medium(0)], X),
        row("c", [text("no image")]),
    )
    camera = [1.0, 2.0, 3.0, 4.0]
    assert built("cameras", table) == [[camera, None, camera], [], []]


def test_objects_number_their_media_by_the_segments_that_show_them() -> None:
    objects = [{"label": "on x", "media": 0}, {"label": "on y", "media": 1}, {"label": "on none"},
               {"label": "on z, not shown", "media": 2}]  # fmt: skip
    table = records(
        row("a", [medium(1), medium(0), medium(1)], X, Y, Z, objects=objects),
        row("b", [medium(0)], X, objects=[{"label": "cat", "media": 0, "box": [1, 2, 3, 4.5]}]),
    )
    first, second = built("objects", table)
    assert [(o["label"], o["media"]) for o in first] == [
        ("on x", 1), ("on y", 0), ("on none", None), ("on z, not shown", None)
    ]  # fmt: skip
    nothing = dict.fromkeys(record.OBJECT.names)
    assert second == [nothing | {"label": "cat", "media": 0, "box": [1, 2, 3, 4.5]}]


def test_videos_are_references_in_the_order_of_the_segments() -> None:
    table = records(row("a", [medium(0), medium(1, kind="video"), text("t")], X, CLIP))
    nothing = dict.fromkeys(rows.VIDEO.names)
    known = {"uri": "clip.mp4", "duration": 4.5, "fps": 30.0, "frames": 135}
    assert built("videos", table) == [[nothing | known]]
    assert [m["content"] for m in built("messages", table)[0]] == [
        [IMAGE, {"type": "video", "text": None}], [item("t")]
    ]  # fmt: skip


def test_the_other_columns_are_those_of_the_record() -> None:
    table = records(row("a", [text("t")], meta='{"uid": 1}', language="en"))
    for name in ("id", "modality", "source", "origin", "language", "meta"):
        assert built(name, table) == table[name].to_pylist()


@pytest.mark.parametrize(
    ("content", "objects", "fault"),
    [
        ([medium(1)], [], "a segment refers to an image or video that the record does not have"),
        ([medium(-1)], [], "a segment refers to an image or video that the record does not have"),
        ([medium(0, kind="sound")], [], "a segment is neither a text, an image nor a video"),
        (
            [medium(0)],
            [{"media": 1}],
            "an annotated object refers to an image or video that the record does not have",
        ),
        ([medium(0)], [{"media": 0}], None),
    ],
)
def test_a_record_that_shows_media_it_does_not_have_has_a_fault(
    content: list[Any], objects: list[Any], fault: str | None
) -> None:
    fine = row("fine", [medium(0), text("t")], X)
    table = records(fine, row("a", content, X, objects=objects), fine | {"key": "other"})
    assert rows.faults(table).to_pylist() == [None, fault, None]


def test_a_chosen_column_is_written_without_dictionaries_and_64_bit_sizes() -> None:
    table = records(row("a", [text("t")]), row("b", [text("u")]))
    table = table.append_column("words.count", pa.array([1, 2], pa.int32()))
    table = table.append_column("domain.name", pa.array(["x", "y"]).dictionary_encode())
    table = table.append_column(
        "embed.vector", pa.array([[1.0], [2.0]], pa.large_list(pa.float32()))
    )
    chosen = ["domain.name", "words.count", "embed.vector"]
    schema = rows.schema(table.schema, chosen)
    assert schema.names == [*rows.COLUMNS, *chosen]
    assert [schema.field(name).type for name in chosen] == [
        pa.string(), pa.int32(), pa.list_(pa.float32())
    ]  # fmt: skip
    made = rows.columns(table, schema)
    assert [made[name].to_pylist() for name in chosen] == [["x", "y"], [1, 2], [[1.0], [2.0]]]


def test_a_missing_column_is_an_error_with_the_nearest_name() -> None:
    schema = record.SCHEMA.append(pa.field("words.count", pa.int32()))
    with pytest.raises(RecipeError, match=r"'word\.count'.*Did you mean 'words\.count'"):
        rows.schema(schema, ["word.count"])


def test_a_type_that_datasets_does_not_know_is_refused() -> None:
    schema = record.SCHEMA.append(pa.field("x.map", pa.map_(pa.string(), pa.int32())))
    with pytest.raises(RecipeError, match=r"x\.map"):
        rows.schema(schema, ["x.map"])
