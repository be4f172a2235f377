"""Objects are parsed from answers in every style of Qwen; an answer with broken markup fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.engine.media_options import MediaOptions
from curate.engine.source_check import checked_files
from curate.ingest import sniff
from curate.ingest.captions.llava import Llava
from curate.ingest.grounding.qwen_grounding import QwenGrounding
from curate.ingest.reader import Failure
from manifests import record, storage
from manifests.errors import InputError
from manifests.media import Limits
from tests.make import make_image, read_all

WIDTH, HEIGHT = 640, 428
VECTOR = [228, 320, 961, 970]
"""[146, 137, 615, 415] of 640 x 428 pixels, published (process_bbox.ipynb)."""
PIXELS_2_5 = [147, 134, 619, 407]
"""The same box after smart_resize to 644 x 420, also published there."""


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(make_image(WIDTH, HEIGHT))


def sample(*answers: str, **changes: Any) -> dict[str, Any]:
    turns = []
    for number, answer in enumerate(answers):
        asked = "Where is it?" if number else "<image>\nLocate all."
        turns += [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]
    return {"image": "a.jpg", "conversations": turns, **changes}


def read(folder: Path, *samples: Any, **settings: Any) -> tuple[list[Any], list[Failure]]:
    (folder / "a.json").write_text(json.dumps(samples))
    found = read_all(QwenGrounding(name="own", path="a.json", **settings), str(folder))
    rows = [row for part in found for row in part.records.to_pylist()]
    return rows, [failure for part in found for failure in part.failures]


def objects(folder: Path, *answers: str, **settings: Any) -> list[dict[str, Any]]:
    """The objects of one sample, without null fields."""
    rows, failures = read(folder, sample(*answers), **settings)
    assert failures == []
    assert [one.pop("media") for one in rows[0]["objects"]] == [0] * len(rows[0]["objects"])
    return [{k: v for k, v in one.items() if v is not None} for one in rows[0]["objects"]]


def fault(folder: Path, *answers: str, **settings: Any) -> str:
    rows, failures = read(folder, sample(*answers), **settings)
    assert rows == []
    [failure] = failures
    assert (failure.key, failure.origin, failure.error) == ("a.json#0", "a.json#0", "RowError")
    return failure.message


FENCED = '```json\n[\n\t{"bbox_2d": [228, 320, 961, 970], "label": "cat"}\n]\n```'


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (FENCED, {"label": "cat", "box": VECTOR}),
        ('{"bbox_2d": [228, 320, 961, 970]}', {"box": VECTOR}),
        ('It is here: [{"bbox_2d": [228, 320, 961, 970]}], is it not?', {"box": VECTOR}),
        ('[{"point_2d": [5, 1000], "label": "猫"}]', {"label": "猫", "point": [5, 1000]}),
        ("<ref>cat</ref><box>(228,320),(961,970)</box>", {"label": "cat", "box": VECTOR}),
        (
            "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(228,320),(961,970)<|box_end|>",
            {"label": "cat", "box": VECTOR},
        ),
        ('<points x1="5" y1="7" alt="a">a</points>', {"label": "a", "point": [5, 7]}),
        (
            '[{"bbox_2d": [228, 320, 961, 970], "text_content": "EXIT", "role": "sign"}]',
            {"box": VECTOR, "text": "EXIT", "attributes": '{"role":"sign"}'},
        ),
    ],
)
def test_an_answer_in_any_style_gives_its_objects(
    tmp_path: Path, answer: str, known: dict[str, Any]
) -> None:
    assert objects(tmp_path, answer) == [known]


def test_the_conversation_is_unchanged_and_the_image_is_opened(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, {**sample(FENCED), "id": 7})
    (tmp_path / "b.json").write_text(json.dumps([{**sample(FENCED), "id": 7}]))
    [same] = [
        row
        for part in read_all(Llava(name="own", path="a.json"), str(tmp_path))
        for row in part.records.to_pylist()
    ]
    assert failures == []
    assert rows[0].pop("objects") != same.pop("objects") == []
    assert (rows[0].pop("modality"), same.pop("modality")) == ("grounding", "chat")
    assert rows[0]["media"][0]["orientation"] == 1
    assert [{**m, "orientation": None} for m in rows[0].pop("media")] == same.pop("media")
    assert rows[0] == same
    assert rows[0]["id"] == record.record_id("own", "a.json#0")


def test_answers_are_searched_for_objects_and_questions_are_not(tmp_path: Path) -> None:
    talk = sample(FENCED, "Nothing.", '{"bbox_2d": [1, 2, 3, 4], "label": "b"}')
    talk["conversations"][2]["value"] = 'As {"bbox_2d": [9, 9, 9, 9]}'
    rows, failures = read(tmp_path, talk)
    assert failures == []
    assert [one["label"] for one in rows[0]["objects"]] == ["cat", "b"]


def test_pixels_after_resizing_become_thousandths_if_the_space_is_set(tmp_path: Path) -> None:
    answer = json.dumps({"bbox_2d": PIXELS_2_5})
    [one] = objects(tmp_path, answer, space="qwen2.5")
    assert np.abs(np.array(one["box"]) - VECTOR).max() < 1000 / 420 / 2 + 0.5
    assert objects(tmp_path, answer)[0]["box"] == PIXELS_2_5


def test_coordinates_refer_to_the_image_as_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (HEIGHT, WIDTH))  # stored upright, shown 640 x 428
    image.save(tmp_path / "a.jpg", exif=exif)
    [one] = objects(tmp_path, json.dumps({"bbox_2d": PIXELS_2_5}), space="qwen2.5")
    assert np.abs(np.array(one["box"]) - VECTOR).max() < 1000 / 420 / 2 + 0.5


def test_cuboids_are_stored_in_radians(tmp_path: Path) -> None:
    answer = '{"bbox_3d": [1, 2, 3, 4, 5, 6, 0.5, 0, -1], "label": "car"}'
    [half] = objects(tmp_path, answer)
    assert half["box3d"] == pytest.approx([1, 2, 3, 4, 5, 6, np.pi / 2, 0, -np.pi])
    [stated] = objects(tmp_path, answer, angles={"unit": "radian"})
    assert stated["box3d"] == [1, 2, 3, 4, 5, 6, 0.5, 0, -1]


def test_a_conversation_without_objects_gives_the_record_of_llava(tmp_path: Path) -> None:
    talks = [
        sample("A dog."),
        {"conversations": [*sample("Hi")["conversations"][1:], {"from": "human", "value": "?"}]},
        sample("[1] yes", image=["a.jpg", "a.jpg"]),
    ]
    talks[2]["conversations"][0]["value"] = "<image><image>Same?"
    rows, failures = read(tmp_path, *talks)
    again = read_all(Llava(name="own", path="a.json"), str(tmp_path))
    assert failures == []
    assert rows == [row for part in again for row in part.records.to_pylist()]
    assert len(rows) == 3


def test_records_keep_their_order_and_their_own_objects(tmp_path: Path) -> None:
    answers = ["A dog.", '{"bbox_2d": [1, 1, 2, 2]}', '{"bbox_2d": [1', '{"bbox_2d": [3, 3, 4, 4]}']
    rows, failures = read(tmp_path, *map(sample, answers))
    assert [(row["origin"], [o["box"] for o in row["objects"]]) for row in rows] == [
        ("a.json#0", []),
        ("a.json#1", [[1, 1, 2, 2]]),
        ("a.json#3", [[3, 3, 4, 4]]),
    ]
    assert [failure.origin for failure in failures] == ["a.json#2"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ('```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "a"},\n\t{"bbox_2d": [1, 2', "cut off"),
        ("[{'bbox_2d': [1, 2, 3, 4]}]", "not JSON"),
        ('[{"bbox_2d": [1, 2, 3]}]', "[1, 2, 3], not 4 numbers"),
        ('[{"bbox_2d": [1, 2, 3, NaN]}]', "NaN is not a number"),
        ('[{"bbox_2d": ["1", 2, 3, 4]}]', "not 4 numbers"),
        ('[{"point_2d": [true, 2]}]', "not 2 numbers"),
        (
            '[{"bbox_2d": [1, 2, 3, 4]}, 5]',
            "the list has the item 5, which is not a JSON object with one of the keys",
        ),
        ('{"found": [{"bbox_2d": [1, 2, 3, 4]}]}', "neither a JSON object with one of the keys"),
        ("bbox_2d: 1 2 3 4", "no object can be read"),
        ("<ref>a</ref><box>(1,2),(3,4)", "cut off or not known"),
        ("<box>(1,2,3,4)</box>", "not a box"),
        ("<quad>(1,2),(3,4),(5,6),(7,8)</quad>", "cut off or not known"),
        ('<points x1="1" y1="2" x2="3" alt="a">a</points>', "must have pairs"),
        ('<points x1="1" y1="2"', "cut off"),
        ('[{"bbox_2d": [1, 2, 3, 4], "text_content": 5}]', "text_content of an object is 5"),
    ],
)
def test_an_answer_with_malformed_markup_fails(tmp_path: Path, answer: str, message: str) -> None:
    assert message in fault(tmp_path, answer)


def test_a_coordinate_over_1000_is_not_a_thousandth(tmp_path: Path) -> None:
    message = fault(tmp_path, '{"bbox_2d": [135, 114, 1016, 672]}')
    assert "object 0: the coordinates [135, 114, 1016, 672] are outside the image" in message
    assert "Set `space`" in message
    assert "1001" in fault(tmp_path, FENCED, '{"point_2d": [1001, 5]}')
    assert objects(tmp_path, '{"point_2d": [1001, 5]}', trust=True) == [{"point": [1001, 5]}]


def test_an_answer_with_broken_quotes_fails_alone(tmp_path: Path) -> None:
    broken = (
        '{"image": "a.jpg", "conversations": [{"from": "human", "value": "<image>\\nLocate house"},'
        '{"from": "gpt", "value": "{\n"bbox_2d": [135, 114, 1016, 672]\n}"}]}'
    )
    whole = json.dumps(sample(FENCED))
    (tmp_path / "a.json").write_text(f"[\n{whole},\n{broken},\n{whole}\n]")
    found = read_all(QwenGrounding(name="own", path="a.json"), str(tmp_path))
    rows = [row["origin"] for part in found for row in part.records.to_pylist()]
    failures = [failure for part in found for failure in part.failures]
    assert rows == ["a.json#0", "a.json#2"]
    assert [failure.origin for failure in failures] == ["a.json#1"]
    assert "broken JSON" in failures[0].message


def test_a_file_of_pixels_is_refused_with_the_space_that_fits(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(make_image(4000, 3000))
    many = [sample(json.dumps({"bbox_2d": [9 * n, 8 * n, 390 * n, 290 * n]})) for n in range(1, 11)]
    with pytest.raises(InputError, match="'xyxy pixel' or"):
        read(tmp_path, *many)
    rows, failures = read(tmp_path, *many, space="xyxy pixel")
    assert (len(rows), failures) == (10, [])


def test_objects_in_a_sample_of_several_images_fail(tmp_path: Path) -> None:
    talk = sample(FENCED, image=["a.jpg", "a.jpg"])
    talk["conversations"][0]["value"] = "<image><image>Locate all."
    rows, failures = read(tmp_path, talk)
    assert rows == []
    assert "2 images" in failures[0].message


def test_a_missing_image_fails_as_in_llava(tmp_path: Path) -> None:
    _, failures = read(tmp_path, sample(FENCED, image="no.jpg"))
    assert [(f.origin, f.error) for f in failures] == [("a.json#0", "MediaError")]


def test_a_file_without_objects_is_accepted(tmp_path: Path) -> None:
    def takes(*samples: Any) -> bool:
        (tmp_path / "a.json").write_text(json.dumps(samples))
        [file] = storage.list_files(str(tmp_path / "a.json"))
        return QwenGrounding.sniff(sniff.head(file, str(tmp_path)))

    assert takes(sample(FENCED))
    assert takes(sample("A dog."))
    assert takes()
    assert not takes({"bbox_2d": 1})


def test_the_demo_data_of_qwen_have_no_box(real_data: Path) -> None:
    demo = real_data / "grounding/qwen_spatial/qwen-vl-finetune"
    if not demo.is_dir():
        pytest.skip(f"no {demo}")
    reader = QwenGrounding(name="own", path="demo/single_images.json", media_root=".")
    media = MediaOptions(str(demo), "", Limits())
    assert len(checked_files(reader, media).readable) == 1
    found = read_all(reader, str(demo))
    assert [part.failures for part in found] == [[]]
    assert [row["objects"] for part in found for row in part.records.to_pylist()] == [[], [], []]
