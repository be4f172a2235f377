"""Entities of a table in texts: where a name is found, and what a table may have."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.text.entities import Entities
from manifests.errors import InputError
from manifests.kernels.phrases import find_phrases, phrase_table
from manifests.step import Worker
from tests.filters.rows import answers, text_records

CSV = """\
qid,name,aliases,category,prominence,language
Q1,New York,NYC|Big Apple,landmark,90,
Q2,York,,landmark,5,
Q3,giant panda,大熊猫|Riesenpanda,animal,40.5,
Q4,C++,,language,,
Q5,ช้าง,elephant,animal,60,
Q6,Gift,,poison,1,de
Q7,gift,,present,2,en
Q8,crème brûlée,,food,7,
"""
FIELDS = {
    "id": "qid", "aliases": "aliases", "category": "category", "prominence": "prominence",
    "language": "language",
}  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "entities.csv").write_text(CSV)
    return tmp_path / "entities.csv"


def found(step: Entities, *texts: str, **settings: Any) -> list[Any]:
    return answers(step, text_records(*texts))["ids"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("In new  YORK, the Big\nApple", ["Q1", "Q2"]),
        ("Yorkshire, NewYork, New-York", ["Q2"]),
        ("York's walls", ["Q2"]),
        ("A giant panda, or 大熊猫。", ["Q3"]),
        ("我喜欢大熊猫宝宝", ["Q3"]),
        ("熊猫大", []),
        ("She writes C++ and C+ +", ["Q4"]),
        ("C+", []),
        ("ดูช้างใหญ่", ["Q5"]),
        ("Crème Brûlée", ["Q8"]),
        ("creme brulee", []),
        (unicodedata.normalize("NFD", "Crème Brûlée"), ["Q8"]),
        ("", []),
    ],
)
def test_a_name_is_found_as_whole_words_in_any_script(
    table: Path, text: str, ids: list[str]
) -> None:
    assert found(Entities(table=str(table), **FIELDS), text) == [ids]


def test_a_record_has_what_the_table_states_of_each_entity(table: Path) -> None:
    made = answers(
        Entities(table=str(table), min=2, **FIELDS),
        text_records("a giant panda in NYC, York, nyc", "C++", None),
    )
    assert made == {
        "ids": [["Q3", "Q1", "Q2"], ["Q4"], []],
        "names": [["giant panda", "New York", "York"], ["C++"], []],
        "categories": [["animal", "landmark", "landmark"], ["language"], []],
        "prominences": [[40.5, 90.0, 5.0], [None], []],
        "drop": [None, "too few entities", "too few entities"],
        "error": [None] * 3,
    }


def test_a_name_in_a_table_may_have_combining_accents(tmp_path: Path) -> None:
    table = tmp_path / "entities.txt"
    table.write_text(unicodedata.normalize("NFD", "café\n"))
    assert found(Entities(table=str(table)), "A café.", "A cafe.") == [
        [unicodedata.normalize("NFD", "café")], [],
    ]  # fmt: skip


def test_an_entity_with_a_language_is_found_only_in_it(table: Path) -> None:
    rows = text_records("Gift", "Gift", "Gift").drop_columns("language")
    languages = pa.array(["de", "en", None], pa.string())
    batch = rows.append_column("language", languages)
    assert answers(Entities(table=str(table), **FIELDS), batch)["ids"] == [["Q6"], ["Q7"], []]
    without = {**FIELDS, "language": None}
    assert answers(Entities(table=str(table), **without), batch)["ids"] == [["Q6", "Q7"]] * 3


def _parquet(path: Path) -> Path:
    rows = {"name": ["New York", "York"], "aliases": [["NYC"], None], "prominence": [9, None]}
    pq.write_table(pa.table(rows), path / "e.parquet")
    return path / "e.parquet"


def _json(path: Path) -> Path:
    rows = [{"name": "New York", "aliases": ["NYC"], "prominence": 9}, {"name": "York"}]
    (path / "e.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path / "e.jsonl"


@pytest.mark.parametrize("write", [_parquet, _json])
def test_tables_of_parquet_and_json_have_lists_and_numbers(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    step = Entities(table=str(write(tmp_path)), aliases="aliases", prominence="prominence")
    made = answers(step, text_records("nyc", "York"))
    assert (made["ids"], made["prominences"]) == ([["New York"], ["York"]], [[9.0], [None]])
    assert len(step.files("")) == 1


def test_a_text_file_has_a_name_on_each_line(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text("New York\n\ncat\n")
    assert found(Entities(table=str(tmp_path / "e.txt")), "a cat in New York") == [
        ["cat", "New York"]
    ]


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("e.csv", "title\ncat\n", "has no field 'name'"),
        ("e.csv", "name\ncat\n \n", "the field 'name' is empty"),
        ("e.csv", "name\ncat\ncat\n", "the id 'cat' occurs twice, first in .*#1"),
        ("e.csv", "name\n", "the table has no entities"),
        ("e.jsonl", '{"name": ["cat"]}', "is \\['cat'\\], which is not text"),
        ("e.csv", "name\n" + "a " * 256 + "\n", "more than 255 words and signs"),
        ("e.png", "", "not a table of entities"),
        ("", "", "leads to no file"),
    ],
)
def test_a_broken_table_is_named_with_its_row(
    tmp_path: Path, name: str, data: str, fault: str
) -> None:
    if name:
        (tmp_path / name).write_text(data)
    step = Entities(table=str(tmp_path / "*.*"))
    with pytest.raises(InputError, match=fault):
        step.load(Worker(str(tmp_path)))


@pytest.mark.parametrize("value", ["7", "true", '{"a": "b"}', '["cat", 7]'])
def test_aliases_that_are_no_text_are_named(tmp_path: Path, value: str) -> None:
    (tmp_path / "e.jsonl").write_text(f'{{"name": "cat", "a": {value}}}')
    with pytest.raises(InputError, match=r"'a' is .*, which is not a list of text"):
        Entities(table=str(tmp_path / "e.jsonl"), aliases="a").load(Worker(str(tmp_path)))


@pytest.mark.parametrize("value", ["many", "-1", "inf", "nan"])
def test_a_prominence_that_is_no_number_is_named(tmp_path: Path, value: str) -> None:
    (tmp_path / "e.csv").write_text(f"name,p\ncat,{value}\n")
    with pytest.raises(InputError, match=f"'{value}', which is not a prominence"):
        Entities(table=str(tmp_path / "e.csv"), prominence="p").load(Worker(str(tmp_path)))


def test_phrases_are_those_of_a_search_in_spaced_text() -> None:
    """The reference: a name between spaces is part of the text between spaces, where every sign
    stands between spaces too."""
    chance = np.random.default_rng(3)
    words = ["a", "b", "ab", "cat", "Cat's", "x-y", "ß", "é"]

    def make(most: int) -> str:
        return " ".join(chance.choice(words, int(chance.integers(1, most))).tolist())

    def spaced(text: str) -> str:
        tokens = re.findall(r"[^\W_]+|[^\s]", text.lower())
        return f" {' '.join(tokens)} "

    names = sorted({make(5) for _ in range(300)})
    texts = [make(40) for _ in range(200)]
    table, numbers = phrase_table(pa.array(names))
    ends, phrases = find_phrases(pa.array(texts), table)
    for row, text in enumerate(texts):
        expected = {
            n for name, n in zip(names, numbers, strict=True) if spaced(name) in spaced(text)
        }
        got = phrases[ends[row] : ends[row + 1]].tolist()
        assert set(got) == expected
        assert len(got) == len(expected)


def test_a_text_with_more_phrases_than_expected_has_all_of_them() -> None:
    names = [f"w{n}" for n in range(5000)]
    table, numbers = phrase_table(pa.array(names))
    ends, phrases = find_phrases(pa.array(["w1", " ".join(names), "w2 w2"]), table)
    assert ends.tolist() == [0, 1, 5001, 5002]
    assert phrases.tolist() == [numbers[1], *numbers, numbers[2]]
