"""Records built row by row."""

from __future__ import annotations

import pyarrow as pa

from manifests import record
from manifests.media import Reference
from manifests.media.header import Header

EMPTY_SEGMENT = {"kind": None, "text": None, "media": None, "role": None, "loss": None}
EMPTY_MEDIA = dict.fromkeys(record.MEDIA.names)
EMPTY_OBJECT = dict.fromkeys(record.OBJECT.names)


def test_a_row_has_its_segments_and_media_in_the_order_of_the_calls() -> None:
    builder = record.Builder("web", "interleaved")
    row = builder.add("k", "a.tar#k", meta='{"n": 1}', language="en")
    row.text("Before.").image(Reference("a.tar", 512, 9), Header("image/png", 64, 48), 6)
    row.text("After.", loss=False).image(Reference("b.jpg"), camera=(500, 500, 32, 24))
    made = builder.table()
    made.validate(full=True)
    assert made.schema == record.SCHEMA
    assert made.to_pylist() == [
        {
            "id": record.record_id("web", "k"),
            "modality": "interleaved",
            "source": "web",
            "origin": "a.tar#k",
            "content": [
                {**EMPTY_SEGMENT, "kind": "text", "text": "Before.", "loss": True},
                {**EMPTY_SEGMENT, "kind": "image", "media": 0, "loss": False},
                {**EMPTY_SEGMENT, "kind": "text", "text": "After.", "loss": False},
                {**EMPTY_SEGMENT, "kind": "image", "media": 1, "loss": False},
            ],
            "media": [
                {
                    **EMPTY_MEDIA,
                    "kind": "image",
                    "uri": "a.tar",
                    "offset": 512,
                    "length": 9,
                    "mime": "image/png",
                    "width": 64,
                    "height": 48,
                    "orientation": 6,
                },
                {**EMPTY_MEDIA, "kind": "image", "uri": "b.jpg", "camera": [500, 500, 32, 24]},
            ],
            "objects": [],
            "language": "en",
            "raw_text": None,
            "meta": '{"n": 1}',
        }
    ]


def test_training_learns_to_write_the_turns_of_the_assistant_alone() -> None:
    builder = record.Builder("chats", "chat")
    builder.add("0", "a#0").turn("system", "Be brief.").image(Reference("a"), role="user").turn(
        "user", "What?"
    ).turn("assistant", "A cat.")
    content = builder.table()["content"][0].as_py()
    assert [(s["kind"], s["role"], s["loss"]) for s in content] == [
        ("text", "system", False),
        ("image", "user", False),
        ("text", "user", False),
        ("text", "assistant", True),
    ]


def test_an_object_is_on_the_first_image_unless_it_names_another() -> None:
    builder = record.Builder("boxes", "grounding")
    row = builder.add("0", "a#0").image(Reference("a")).image(Reference("b"))
    row.object("dog", box=(0, 0, 500, 1000)).object(media=1, point=(1, 2), text="the tip")
    assert builder.table()["objects"].to_pylist() == [
        [
            {**EMPTY_OBJECT, "label": "dog", "media": 0, "box": [0, 0, 500, 1000]},
            {**EMPTY_OBJECT, "media": 1, "point": [1, 2], "text": "the tip"},
        ]
    ]


def test_a_builder_without_rows_gives_an_empty_table_of_records() -> None:
    builder = record.Builder("web", "caption")
    assert len(builder) == 0
    assert builder.table() == record.SCHEMA.empty_table()


def test_rows_and_whole_columns_make_the_same_media() -> None:
    images = [(Reference("a.jpg", None, 9), Header("image/jpeg", 3, 4), 8),
              (Reference("b.tar", 512, 7), Header("image/png", 5, 6), None)]  # fmt: skip
    builder = record.Builder("s", "caption")
    for number, image in enumerate(images):
        builder.add(str(number), "o").image(*image).text("t")
    columns = record.ImageColumns.from_images(images)
    origins, texts = pa.array(["o", "o"]), pa.array(["t", "t"])
    made = record.captions("s", ["0", "1"], origins, texts, columns)
    assert made == builder.table()
