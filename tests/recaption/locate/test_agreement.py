"""The step `locate_agreement`: what two replies agree on, and what only one found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate.compose.grounding.parsing import parse_objects
from curate.engine.ray import RayExecutor
from manifests.errors import BudgetError
from manifests.media import Media, Reference
from manifests.record import ABSENT, OBJECT, PARTIAL
from manifests.step import Context
from recaption.locate.agreement import LocateAgreement
from tests.recaption.endpoint import Answer, Asked, Endpoint
from tests.recaption.locate.finder import Box, Finder, drawn, located, seen
from tests.recaption.locate.locate_runs import agreement, attributes, locate, records, run, write
from tests.runs import file_bytes, last_answer, read_run, row_counts

BOXES: dict[str, Box] = {"red": (20, 30, 120, 90), "blue": (200, 100, 300, 220)}
WRONG = {"bbox_2d": [0, 0, 90, 90], "label": "green"}


class Unsure(Finder):
    """With seed 0 it sees a green rectangle that is not there, and with the others it does not see
    the blue one in wide images."""

    def __call__(self, asked: Asked) -> Answer:
        text = json.loads(super().__call__(asked).body)["choices"][0]["message"]["content"]
        items = json.loads(text.removeprefix("```json\n").removesuffix("\n```"))
        if asked.body["seed"] == 0:
            return located([*items, WRONG])
        is_wide = asked.sizes[0][0] > 500
        return located([one for one in items if one["label"] != "blue" or not is_wide])


def two(endpoint: Endpoint, **second: Any) -> list[dict[str, Any]]:
    return [locate(endpoint), locate(endpoint, seed=100, **second)]


def objects(row: dict[str, Any]) -> dict[str, list[float]]:
    return {one["label"]: one["box"] for one in row["objects"]}


def test_objects_that_two_askings_found_become_objects_of_the_record(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = Finder()
    images = {f"{n}": drawn(BOXES, orientation=n) for n in range(1, 9)}
    write(tmp_path, images)
    rows = records(tmp_path, run(tmp_path, *two(endpoint), agreement()))
    for name, row in rows.items():
        assert objects(row).keys() == BOXES.keys()
        for colour, box in objects(row).items():
            assert box == pytest.approx(seen(images[name], colour), abs=5)
        assert row["locate_agreement.status"] == "agreed"
        assert row["locate_agreement.confidence"] == 1.0
        assert json.loads(row["meta"])[ABSENT] == ["green"]
    made = attributes(rows["1"]["objects"][0])
    assert made == {"confidence": 1.0, "located_by": ["test-vlm-2026"] * 2}
    assert len(endpoint.asked) == 16


def test_objects_that_only_one_found_are_left_out_and_counted(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = Unsure()
    write(
        tmp_path,
        {"a": drawn(BOXES), "wide": drawn({**BOXES, "blue": (300, 0, 600, 99)}, (640, 240))},
    )
    rows = records(tmp_path, run(tmp_path, *two(endpoint), agreement()))
    assert list(objects(rows["a"])) == ["red", "blue"]
    assert list(objects(rows["wide"])) == ["red"]
    names = ("first", "second", "agreed", "unmatched")
    counts = [rows["wide"][f"locate_agreement.{name}"] for name in names]
    assert counts == [3, 1, 1, 2]
    assert rows["wide"]["locate_agreement.status"] == "partly agreed"
    assert json.loads(rows["wide"]["meta"])[ABSENT] == []
    kept = records(
        tmp_path, run(tmp_path, *two(endpoint), agreement(unmatched="keep"), out="kept"), "kept"
    )
    assert list(objects(kept["wide"])) == ["red", "blue", "green"]
    assert [attributes(one)["confidence"] for one in kept["wide"]["objects"]] == [1.0, None, None]
    assert len(endpoint.asked) == 4


def test_a_label_of_which_an_object_was_left_out_is_marked_as_partial() -> None:
    found = [obj("cat", 0, 0, 100, 100), obj("dog", 0, 0, 50, 50)]
    more = [*found, obj("cat", 500, 500, 600, 600)]
    [row] = compared([(found, more)])
    marks = {one["label"]: attributes(one).get(PARTIAL) for one in row["objects"]}
    assert marks == {"Cat": None, "cat": True, "dog": None}
    [left_out] = compared([(found, more)], unmatched="leave_out")
    [kept] = compared([(found, more)], unmatched="keep")
    assert [len(one["objects"]) for one in (row, left_out, kept)] == [3, 3, 4]
    for one in (*left_out["objects"], *kept["objects"]):
        assert PARTIAL not in attributes(one)


def test_the_status_states_how_the_two_compare() -> None:
    cat, dog = obj("cat", 0, 0, 100, 100), obj("dog", 0, 0, 100, 100)
    rows = compared([([cat], [cat]), ([cat, dog], [cat]), ([cat], [dog]), ([], []), (None, [cat])])
    assert [row["status"] for row in rows] == [
        "agreed", "partly agreed", "disagree", "nothing found", "not compared",
    ]  # fmt: skip
    assert [row["confidence"] for row in rows] == [1, 1, None, None, None]
    assert rows[4]["meta"] is None
    assert rows[4]["objects"] == [OWN]


def test_the_objects_of_a_record_stay_before_the_new_ones() -> None:
    cat = obj("cat", 0, 0, 100, 100)
    [row] = compared([([cat], [obj("cat", 0, 0, 100, 80)])])
    assert row["objects"][0] == OWN
    assert row["objects"][1]["box"] == [0, 0, 100, 100]
    assert attributes(row["objects"][1]) == {"confidence": 0.8, "located_by": ["A", "B"]}
    [row] = compared([([cat], [cat])], unlocated="remove")
    assert [one["box"] for one in row["objects"]] == [[0, 0, 100, 100]]
    [row] = compared([([cat], [])], unlocated="remove")
    assert row["objects"] == [OWN]


@pytest.mark.parametrize("place", ["point", "polygon", "box3d", "start"])
def test_an_object_with_any_place_is_not_removed(place: str) -> None:
    values = {"point": [1, 1], "polygon": [[1, 1, 2, 2, 1, 2]], "box3d": [1] * 9, "start": 1}
    own = {**OWN, place: values[place]}
    cat = obj("cat", 0, 0, 100, 100)
    [row] = compared([([cat], [cat])], own=own, unlocated="remove")
    assert len(row["objects"]) == 2


def test_names_that_only_one_step_was_asked_for_are_not_absent() -> None:
    cat = obj("cat", 0, 0, 100, 100)
    [row] = compared([([cat], [])], asked=(["cat", "dog", "bird"], ["bird", "fish"]))
    assert json.loads(row["meta"]) == {ABSENT: ["bird"]}


def test_a_changed_bound_or_threshold_asks_nothing_again(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = Shifted()
    write(tmp_path, {"a": drawn(BOXES), "b": drawn({"red": (0, 0, 100, 100)})})
    steps = two(endpoint)
    made = run(tmp_path, *steps, agreement())
    assert {n: len(row["objects"]) for n, row in records(tmp_path, made).items()} == {
        "a": 2,
        "b": 1,
    }
    asked = len(endpoint.asked)
    (tmp_path / "journal").rename(tmp_path / "gone")
    dropped = run(tmp_path, *steps, agreement(min_confidence=0.85))
    assert row_counts(dropped)["locate_agreement"] == (2, 1, {"low confidence": 1}, {})
    strict = run(tmp_path, *steps, agreement(threshold=0.95))
    assert {n: len(r["objects"]) for n, r in records(tmp_path, strict).items()} == {"a": 1, "b": 0}
    assert len(endpoint.asked) == asked == 4


class Shifted(Finder):
    """With another seed than 0, boxes that begin left are a tenth narrower, the red one more."""

    def __call__(self, asked: Asked) -> Answer:
        answer = super().__call__(asked)
        if asked.body["seed"] == 0:
            return answer
        text = json.loads(answer.body)["choices"][0]["message"]["content"]
        items = json.loads(text.removeprefix("```json\n").removesuffix("\n```"))
        for one in items:
            if one["label"] == "red":
                x1, _, x2, _ = one["bbox_2d"]
                one["bbox_2d"][2] = round(x1 + (x2 - x1) * (0.9 if x1 == 0 else 0.8))
        return located(items)


def test_two_models_with_other_spaces_are_compared(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = Finder()
    write(tmp_path, {"a": drawn(BOXES, orientation=8)})
    with Endpoint(Finder(lambda size: size)).serving() as other:
        second = locate(other, model="another", space="pixels_sent")
        made = run(tmp_path, locate(endpoint), second, agreement())
    [row] = records(tmp_path, made).values()
    assert row["locate_agreement.agreed"] == 2
    assert row["locate_agreement.confidence"] > 0.95
    assert (len(endpoint.asked), len(other.asked)) == (1, 1)


def test_a_model_that_agrees_with_itself_is_refused(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = Finder()
    write(tmp_path, {"a": drawn(BOXES), "b": drawn({})})
    with pytest.raises(BudgetError):
        run(tmp_path, locate(endpoint), locate(endpoint), agreement())
    made = run(tmp_path, locate(endpoint), locate(endpoint), agreement(), max_quarantined=2)
    assert row_counts(made)["locate_agreement"] == (2, 0, {}, {"RowError": 2})
    [message, _] = (row.message for row in read_run(tmp_path / "out").quarantine)
    assert "the same model with the same seed" in message
    assert "Give one of the steps" in message
    assert len(endpoint.asked) == 2


def test_ray_agrees_with_one_process(tmp_path: Path, endpoint: Endpoint, ray: None) -> None:
    endpoint.answer = Unsure()
    write(tmp_path, {f"{n}": drawn(BOXES, (320 + 100 * n, 240)) for n in range(6)}, files=3)
    steps = [*two(endpoint), agreement(), {"grounding_text": {}}]
    run(tmp_path, *steps, out="inline")
    run(tmp_path, *steps, out="ray", executor=RayExecutor(2))
    assert file_bytes(tmp_path / "inline") == file_bytes(tmp_path / "ray")


def test_a_trainer_gets_the_boxes_that_agreed(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = Unsure()
    write(tmp_path, {f"{n}": drawn(BOXES, orientation=n) for n in range(1, 9)})
    run(tmp_path, *two(endpoint), agreement(), {"grounding_text": {}})
    rows = read_run(tmp_path / "out").rows
    assert len(rows) == 8
    for row in rows:
        answered = parse_objects(str(last_answer(row)))
        assert {one.label for one in answered} == {"red", "blue"}
        for one in answered:
            assert one.box == pytest.approx(seen(row["images"][0]["bytes"], str(one.label)), abs=5)


OWN = {**dict.fromkeys(f.name for f in OBJECT), "label": "Cat", "attributes": '{"hand": 1}'}


def obj(label: str, *box: float) -> dict[str, Any]:
    return {**dict.fromkeys(f.name for f in OBJECT), "label": label, "media": 0, "box": list(box)}


Found = list[dict[str, Any]] | None
NAMES = ["cat", "dog", "bird"]


def compared(
    pairs: list[tuple[Found, Found]],
    own: dict[str, Any] = OWN,
    asked: tuple[list[str], list[str]] = (NAMES, NAMES),
    **settings: Any,
) -> list[dict[str, Any]]:
    """The measures, objects and `meta` of records with the object `own`, for which two steps found
    these objects of the names `asked`."""
    kind = pa.list_(OBJECT)
    columns: dict[str, pa.Array] = {
        "objects": pa.array([[own]] * len(pairs), kind),
        "meta": pa.nulls(len(pairs), pa.string()),
    }
    for step, side, model in (("locate", 0, "A"), ("locate-2", 1, "B")):
        columns |= {
            f"{step}.found": pa.array([pair[side] for pair in pairs], kind),
            f"{step}.asked": pa.array([asked[side]] * len(pairs)),
            f"{step}.model": pa.array([model] * len(pairs)),
            f"{step}.model_and_seed": pa.array([model] * len(pairs)),
        }
    step = LocateAgreement(**settings)
    batch = pa.table(columns).select(step.reads())
    made = step.measure(batch, Context(Media(), lambda data: Reference("")))
    assert made.errors is not None
    assert not made.errors
    return pa.table(made.columns).to_pylist()
