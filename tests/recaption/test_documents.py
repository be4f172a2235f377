"""What of a record is sent, in which order, and what is left out."""

from __future__ import annotations

import pyarrow as pa

from manifests.media import Reference
from manifests.record import Builder
from recaption.document_step import joined
from recaption.documents import IMAGE_LEFT_OUT, TEXT_LEFT_OUT, Document, documents

A, B, C = (Reference(f"{name}.jpg") for name in "abc")


def batch() -> pa.Table:
    rows = Builder("made", "interleaved")
    row = rows.add("1", "1")
    row.text("  First. ").image(A).image(B).text(" ").text("Second.").image(C).text("Third.")
    rows.add("2", "2").image(C)
    rows.add("3", "3").turn("user", "Hello").turn("assistant", "Hello")
    rows.add("4", "4")
    return rows.table()


def test_texts_and_images_are_in_their_order() -> None:
    assert documents(batch(), 9, 99) == [
        Document(("First.", A, B, "Second.", C, "Third.")),
        Document((C,)),
        None,
        Document(()),
    ]
    assert documents(batch().slice(1), 9, 99)[0] == Document((C,))


def test_what_is_left_out_is_marked_and_counted() -> None:
    [long, *_] = documents(batch(), 1, 9)
    assert long == Document(
        ("First.", A, IMAGE_LEFT_OUT, "Sec", TEXT_LEFT_OUT, IMAGE_LEFT_OUT), 2, 10
    )
    assert long is not None
    assert long.without_images().parts == ("First.", "Sec", TEXT_LEFT_OUT)
    [cut, *_] = documents(batch(), 0, 6)
    assert cut == Document(
        ("First.", IMAGE_LEFT_OUT, IMAGE_LEFT_OUT, TEXT_LEFT_OUT, IMAGE_LEFT_OUT), 3, 13
    )
    [exact, *_] = documents(batch(), 3, 19)
    assert exact == Document(("First.", A, B, "Second.", C, "Third."))


def test_adjacent_texts_are_one_part_of_a_message() -> None:
    assert joined("Judge:\n---\n", "First.", A, B, "", "\n---\n", "End") == (
        "Judge:\n---\nFirst.", A, B, "---\nEnd",
    )  # fmt: skip
    assert joined("Judge:\n", "only text", "\nEnd") == ("Judge:\nonly text\nEnd",)
