"""ms-swift: placeholders become names and coordinates, or the sample is quarantined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions.llava import Llava
from curate.ingest.grounding.ms_swift import MsSwift
from curate.ingest.grounding.qwen_grounding import QwenGrounding
from curate.ingest.reader import Head, ReadBatch
from manifests.storage import File
from tests.make import make_image, read_all

ANSWER = '[{"bbox_2d": <bbox>, "label": "<ref-object>"}]'


def sample(question: str, answer: str, objects: Any, **fields: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, "images": ["a.jpg"], "objects": objects, **fields}


def read(folder: Path, *samples: Any, **settings: Any) -> ReadBatch:
    (folder / "a.jpg").write_bytes(make_image(640, 480))
    (folder / "b.jpg").write_bytes(make_image(100, 200))
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, samples)))
    [found] = read_all(MsSwift(name="own", path="a.jsonl", **settings), str(folder))
    return found


def texts(row: dict[str, Any]) -> list[str]:
    return [segment["text"] for segment in row["content"] if segment["kind"] == "text"]


def objects(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["label"], one["media"], one["box"], one["point"]) for one in row["objects"]]


def test_placeholders_become_names_and_thousandths_and_boxes_become_objects(tmp_path: Path) -> None:
    given = {"ref": ["dog", "dog"], "bbox": [[64.32, 48, 128, 96]]}
    found = read(tmp_path, sample("<image>Find the <ref-object>.", ANSWER, given, lengths=9))
    assert found.failures == []
    [row] = found.records.to_pylist()
    assert texts(row) == ["Find the dog.", '[{"bbox_2d": [100, 100, 200, 200], "label": "dog"}]']
    assert objects(row) == [("dog", 0, [100.5, 100.0, 200.0, 200.0], None)]
    assert (row["modality"], row["origin"], row["meta"]) == ("chat", "a.jsonl#1", '{"lengths":9}')
    assert [segment["loss"] for segment in row["content"]] == [False, False, True]


def test_fractions_points_and_boxes_on_several_images_are_read(tmp_path: Path) -> None:
    both = {
        "ref": ["cat", "hat"],
        "bbox": [[50, 100], [320, 240, 640, 480]],
        "image_id": [1, 0],
    }
    found = read(
        tmp_path,
        sample("<image><bbox>?", "It.", {"bbox": [[0.1, 0.5, 0.2, 1.0]], "bbox_type": "norm1"}),
        sample("<image><image>", "<ref-object><bbox> and <ref-object><bbox>", both,
               images=["a.jpg", "b.jpg"]),
        sample("<image>Find the <ref-object>", "<bbox>",
               {"ref": ["dog"], "bbox": [[0, 0, 64, 48]]}),
        sample("Hi", "Hello", None, images=[]),
    )  # fmt: skip
    assert found.failures == []
    rows = found.records.to_pylist()
    assert [texts(row) for row in rows] == [
        ["[100, 500, 200, 1000]?", "It."],
        ["cat[500, 500] and hat[500, 500, 1000, 1000]"],
        ["Find the dog", "[0, 0, 100, 100]"],
        ["Hi", "Hello"],
    ]
    assert [objects(row) for row in rows[1:]] == [
        [("cat", 1, None, [500.0, 500.0]), ("hat", 0, [500.0, 500.0, 1000.0, 1000.0], None)],
        [("dog", 0, [0.0, 0.0, 100.0, 100.0], None)],
        [],
    ]


FIND = "<image>Find the <ref-object>."
PAIR = {"ref": ["dog", "dog"], "bbox": [[1, 2, 3, 4]]}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (PAIR | {"ref": ["dog"]}, "the turns contain 2 placeholders <ref-object>, but objects.ref"),
        (PAIR | {"bbox": []}, "the turns contain 1 placeholders <bbox>, but objects.bbox has 0"),
        (None, "the turns contain 2 placeholders <ref-object>, but objects.ref has 0 entries."),
        (PAIR | {"bbox": [[1, 2, 3]]}, "objects.bbox is [[1, 2, 3]], not a list of boxes of four"),
        (PAIR | {"bbox": [["1", 2]]}, "objects.bbox is [['1', 2]], not a list of boxes"),
        (PAIR | {"ref": [1]}, "objects.ref is [1], not a list of texts."),
        (PAIR | {"bbox_type": "norm1000"}, "objects.bbox_type is 'norm1000', neither real"),
        (PAIR | {"image_id": [1]}, ("objects.image_id has the index 1, but no turn shows this "
                                   "image.")),
        (PAIR | {"image_id": [0, 0]}, ("objects.image_id and objects.bbox have different "
                                      "numbers of entries.")),
        (PAIR | {"labels": []}, "the field 'objects' is {'ref': ['dog', 'dog'], 'bbox'"),
        ([{"ref": "dog"}], "the field 'objects' is [{'ref': 'dog'}], not a JSON object with"),
        (PAIR | {"bbox": [[1, 2, 9999, 9999]]}, "the coordinates [1, 2, 9999, 9999] are"),
    ],
)  # fmt: skip
def test_values_that_do_not_replace_all_placeholders_are_an_error(
    tmp_path: Path, given: Any, fault: str
) -> None:
    good = [sample(FIND, ANSWER, PAIR)] * 4
    found = read(tmp_path, *good, sample(FIND, ANSWER, given))
    assert found.records.num_rows == 4
    assert [(failure.key, failure.units) for failure in found.failures] == [("a.jsonl#5", 1)]
    assert found.failures[0].message.startswith(fault)


def test_other_readers_of_chats_refuse_placeholders_by_the_name_of_the_dialect(
    tmp_path: Path,
) -> None:
    data = json.dumps(sample(FIND, ANSWER, PAIR)).encode()
    head = Head(File("a.jsonl", "a.jsonl", len(data), 0), data)
    sniffs = [reader.sniff(head) for reader in (Llava, QwenGrounding, MsSwift)]
    assert sniffs == [False, False, True]
    read(tmp_path, sample(FIND, ANSWER, PAIR))
    for reader in (Llava, QwenGrounding):
        [found] = read_all(reader(name="own", path="a.jsonl"), str(tmp_path))
        [failure] = found.failures
        assert failure.message == (
            "a turn contains the placeholder <ref-object>. ms-swift replaces the placeholder by "
            "a name or a box, but this reader does not. For samples with `objects`, use the "
            "reader ms_swift, which reads JSON. In any other sample, remove the placeholder."
        )
