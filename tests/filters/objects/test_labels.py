"""Labels are normalised, renamed, kept or dropped; and removed by frequency in the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.objects.label_frequency import LabelFrequency
from filters.objects.labels import Labels
from filters.objects.rules.label_names import normalise
from manifests.errors import InputError
from manifests.media import Media
from tests.filters.corpus_steps import MemoryCorpus, decide
from tests.filters.objects.records import MIXED, assert_slices_agree, records_of
from tests.filters.rows import answers


def of_labels(*records: Iterable[str | None]) -> pa.Table:
    return records_of(*([{"label": label} for label in some] for some in records))


def labels(result: dict[str, list[Any]]) -> list[list[str | None]]:
    return [[one["label"] for one in objects] for objects in result["objects"]]


def test_labels_are_normalised() -> None:
    written = ["traffic_light", " Traffic  Light\n", "cafe\u0301", "a\u3000\u00a0b", "__", "", None]
    result = answers(Labels(), of_labels(written))
    assert labels(result) == [["traffic light", "Traffic Light", "café", "a b", None, None, None]]
    assert (result["changed"], result["unlabelled"], result["drop"]) == ([6], [0], [None])
    folded = answers(Labels(fold=True), of_labels(written, ["ÉCOLE"]))
    assert labels(folded)[0][:2] == ["traffic light"] * 2
    assert labels(folded)[1] == ["école"]


def test_every_kind_of_whitespace_becomes_one_space() -> None:
    spaces = [c for c in map(chr, range(0xD800)) if c.isspace()]
    assert set(normalise(pa.array([f"{c}a{c}{c}b{c}" for c in spaces])).to_pylist()) == {"a b"}


def test_normal_labels_are_not_changed() -> None:
    batch = of_labels(["dog", None], [], ["Dog"])
    result = answers(Labels(), batch)
    assert result["objects"] == batch["objects"].to_pylist()
    assert result["changed"] == [0, 0, 0]


def test_old_names_match_any_spelling_and_new_names_are_used_exactly() -> None:
    step = Labels(fold=True, rename={"TV_Monitor": "TV", "thing": ""}, unlabelled="drop")
    result = answers(step, of_labels(["tv monitor", "Tv  Monitor ", "TV", "thing", "thing"]))
    assert labels(result) == [["TV", "TV", "tv"]]
    assert (result["changed"], result["unlabelled"]) == ([5], [2])


def test_only_labels_in_keep_stay() -> None:
    batch = of_labels(["dog", "Cat", None], ["cow"], [], ["cow", "Traffic_Light"])
    result = answers(Labels(keep=("DOG", "cat", "traffic light")), batch)
    assert labels(result) == [["dog", "Cat"], [], [], ["Traffic Light"]]
    assert result["unwanted"] == [1, 1, 0, 1]
    assert result["drop"] == [None, "no object left", None, None]
    assert answers(Labels(keep=("dog",), empty="keep"), batch)["drop"] == [None] * 4
    assert labels(answers(Labels(keep=()), batch)) == [[], [], [], []]


def test_drop_compares_the_new_names() -> None:
    step = Labels(rename={"puppy": "dog"}, drop=("Dog", "person"))
    result = answers(step, of_labels(["puppy", "dog", "cat", None, "Person"]))
    assert (labels(result), result["unwanted"]) == ([["cat", None]], [3])


def test_objects_without_a_label_can_be_removed() -> None:
    batch = of_labels(["dog", None, " "], [None])
    result = answers(Labels(unlabelled="drop", drop=("dog",)), batch)
    assert (result["unlabelled"], result["unwanted"]) == ([2, 1], [1, 0])
    assert result["drop"] == ["no object left"] * 2


NAMES = {
    "names.yaml": 'Old One: new\n"no": norway\n',
    "names.json": '{"Old One": "new", "no": "norway"}',
    "names.csv": '\ufeffOld One,new\r\n"no",norway\r\n\r\n',
    "old mac.csv": "Old One,new\rno,norway\r",
    "names.tsv": "Old One\tnew\nno\tnorway\n",
}


@pytest.mark.parametrize("name", NAMES)
def test_new_names_come_from_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(NAMES[name])
    step = Labels(rename_file=name)
    result = answers(step, of_labels(["old_one", "no", "other"]), Media(str(tmp_path)))
    assert labels(result) == [["new", "norway", "other"]]
    assert step.files(str(tmp_path)) == (str(tmp_path / name),)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        (
            "n.yaml",
            "no: norway",
            "a label in the entry `False: 'norway'` is not text. Put quotes around both labels.",
        ),
        ("n.yaml", "- a\n- b", "is not a mapping of `old: new`"),
        ("n.yaml", "a: [", "broken YAML"),
        (
            "n.yaml",
            "a: b\nc: d\na: e",
            ("line 3: the key 'a' is in line 1 too. Keep only one of the two keys."),
        ),
        ("n.csv", "a,b\na,b,c\n", "line 2 has 3 columns, not 2"),
        ("n.csv", '"a\nz",b\na,b,c\n', "line 3 has 3 columns, not 2"),
        ("n.csv", "a," + "b" * 200_000, "line 1: field larger than field limit"),
        ("n.csv", "a,b\na,c\n", "line 2 gives the label 'a' another new name than an earlier line"),
        (
            "n.yaml",
            "A_b: c\na b: d",
            "'A_b' and 'a b' are the same label, but get different new names",
        ),
    ],
)
def test_an_unusable_file_of_names_is_refused(
    tmp_path: Path, name: str, text: str, fault: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"n\.(yaml|csv)") as caught:
        answers(Labels(rename_file=name), of_labels(["a"]), Media(str(tmp_path)))
    assert fault in str(caught.value)


def test_a_missing_file_of_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        answers(Labels(rename_file="gone.yaml"), of_labels(["a"]), Media(str(tmp_path)))


@pytest.mark.parametrize(
    "settings",
    [
        {"rename": {"a": "b"}, "rename_file": "x"},
        {"rename": {"a": "b", "A": "c"}},
        {"keep": ["a"], "drop": ["b"]},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: Any) -> None:
    with pytest.raises(ValidationError):
        Labels(**settings)


def test_slices_give_the_same_results_as_the_batch() -> None:
    for step in (Labels(), Labels(fold=True, drop=("A",), unlabelled="drop")):
        assert_slices_agree(step, MIXED)
    assert answers(Labels(keep=("a",)), records_of())["drop"] == []


def run_on_parts(step: LabelFrequency, *tables: pa.Table) -> dict[str, list[Any]]:
    """The results of the step for all rows; each table is a part of the corpus."""
    result: dict[str, list[Any]] = {name: [] for name in (*step.measures(), "objects", "drop")}
    for part, outcome in decide(step, MemoryCorpus(tables)):
        drop = pa.nulls(part.rows) if outcome.drop is None else outcome.drop
        for name, column in {**outcome.columns, "drop": drop}.items():
            result[name] += column.to_pylist()
    return result


def test_rare_labels_are_removed_and_emptied_records_dropped() -> None:
    tables = (of_labels(["dog", "dog", "axolotl"], ["dog", None]), of_labels(["newt"], [], [None]))
    result = run_on_parts(LabelFrequency(min=2), *tables)
    assert labels(result) == [["dog", "dog"], ["dog", None], [], [], [None]]
    assert result["rarest"] == [1, 2, 1, None, None]
    assert result["removed"] == [1, 0, 1, 0, 0]
    assert result["drop"] == [None, None, "no object left", None, None]
    kept = run_on_parts(LabelFrequency(min=2, empty="keep"), *tables)
    assert kept["drop"] == [None] * 5


def test_records_or_objects_are_counted() -> None:
    table = of_labels(["dog", "dog", "dog"], ["cat"], ["cat"])
    assert run_on_parts(LabelFrequency(of="records"), table)["rarest"] == [1, 2, 2]
    assert run_on_parts(LabelFrequency(of="objects"), table)["rarest"] == [3, 2, 2]


def test_frequent_labels_can_be_removed() -> None:
    table = of_labels(["dog", "cat"], ["dog"], ["dog", "newt"], ["cat"])
    result = run_on_parts(LabelFrequency(max=2), table)
    assert labels(result) == [["cat"], [], ["newt"], ["cat"]]


def test_records_are_dropped_if_no_label_is_in_bounds() -> None:
    table = of_labels(["dog", "newt"], ["newer newt", None], ["dog"], [], [None])
    result = run_on_parts(LabelFrequency(min=2, remove="records"), table)
    assert result["objects"] == table["objects"].to_pylist()
    assert result["drop"] == [None, "no label in bounds", None, None, None]
    assert result["removed"] == [0] * 5


def test_an_empty_corpus_gives_no_results() -> None:
    assert run_on_parts(LabelFrequency(min=2))["drop"] == []
    assert run_on_parts(LabelFrequency(min=2), of_labels(), of_labels([]))["drop"] == [None]


records = st.lists(st.lists(st.sampled_from(["a", "b", "c", "", None]), max_size=4), max_size=4)


@given(st.lists(records, max_size=4), st.booleans(), st.integers(1, 4), st.integers(4, 6))
def test_frequencies_are_those_of_plain_python(
    corpus: list[list[list[str | None]]],
    by_records: bool,
    least: int,
    most: int,
) -> None:
    counted = Counter(
        label
        for part in corpus
        for some in part
        for label in (set(some) if by_records else some)
        if label is not None
    )
    step = LabelFrequency(of="records" if by_records else "objects", min=least, max=most)
    result = run_on_parts(step, *(of_labels(*part) for part in corpus))
    every = [some for part in corpus for some in part]
    known = [[counted[label] for label in some if label is not None] for some in every]
    assert result["rarest"] == [min(some, default=None) for some in known]
    remaining_objects = [
        [x for x in some if x is None or least <= counted[x] <= most] for some in every
    ]
    assert labels(result) == remaining_objects
