"""The record: ids, random keys, and records from whole columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import record

TEXTS = st.lists(st.none() | st.text(max_size=6), max_size=12)


def test_an_id_is_a_hash_of_source_and_key_and_never_changes() -> None:
    assert record.record_id("web", "00000.tar#000000003") == "99ea80373d9eaab423abca84ee4942ff"
    assert record.record_ids("web", ["a", "b"]).to_pylist() == [
        record.record_id("web", "a"),
        record.record_id("web", "b"),
    ]


def test_source_and_key_are_separated_in_the_hash() -> None:
    assert record.record_id("ab", "c") != record.record_id("a", "bc")


@given(TEXTS)
def test_captions_are_equal_to_rows_with_one_image(texts: list[str | None]) -> None:
    rows = len(texts)
    keys, origins = (
        [f"k{n}" for n in range(rows)],
        pa.array([f"u#{n}" for n in range(rows)], pa.string()),
    )
    images = record.ImageColumns(
        uri=pa.array([f"{n}.jpg" for n in range(rows)], pa.string()),
        length=pa.array(range(rows), pa.int64()),
    )
    made = record.captions("s", keys, origins, pa.array(texts, pa.string()), images)
    expected = record.from_rows(
        [
            {
                "key": f"k{n}",
                "origin": f"u#{n}",
                "content": [{"kind": "image", "media": 0, "loss": False}]
                + ([] if text is None else [{"kind": "text", "text": text, "loss": True}]),
                "media": [{"kind": "image", "uri": f"{n}.jpg", "length": n}],
            }
            for n, text in enumerate(texts)
        ],
        "s",
        "caption",
    )
    made.validate(full=True)
    assert made.to_pylist() == expected.to_pylist()


@given(st.lists(TEXTS, max_size=8), st.integers(0, 8))
def test_the_text_of_a_record_is_its_segments_joined_by_newlines(
    lists: list[list[str | None]], cut: int
) -> None:
    rows = [
        {"key": str(n), "origin": "", "content": [{"kind": "text", "text": t} for t in segments]}
        for n, segments in enumerate(lists)
    ]
    content = record.from_rows(rows, "s", "text")["content"]
    expected = ["\n".join(t for t in segments if t is not None) for segments in lists]
    assert record.texts(content).to_pylist() == expected
    assert record.texts(content.slice(cut)).to_pylist() == expected[cut:]


def test_records_without_images_have_text_alone() -> None:
    made = record.captions("s", ["a", "b"], pa.array(["x", "y"]), pa.array(["hi", None]), None)
    assert made["modality"].to_pylist() == ["text", "text"]
    assert made["media"].to_pylist() == [[], []]
    assert [len(c) for c in made["content"].to_pylist()] == [1, 0]


def test_random_keys_are_uniform_and_depend_on_seed_and_id_alone() -> None:
    ids = record.record_ids("s", map(str, range(20_000)))
    keys = record.random_keys(ids, 17)
    counts, _ = np.histogram(keys.astype(float) / 2.0**64, 64, (0, 1))
    assert abs(counts - 20_000 / 64).max() < 6 * (20_000 / 64) ** 0.5
    chunked = pa.chunked_array([ids.slice(0, 7), ids.slice(7)])
    assert record.random_keys(chunked, 17).tolist() == keys.tolist()
    assert record.random_keys(ids.slice(5, 3), 17).tolist() == keys[5:8].tolist()
    assert np.corrcoef(keys.astype(float), record.random_keys(ids, 18).astype(float))[0, 1] < 0.03


@pytest.mark.parametrize("field", record.FIELDS, ids=lambda f: f.name)
def test_every_field_has_a_meaning(field: record.Field) -> None:
    assert len(field.meaning) > 15
