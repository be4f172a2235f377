"""Each sentence of a pickled ref becomes an object of its image in instances.json."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from curate.ingest import sniff
from curate.ingest.grounding import refcoco
from curate.ingest.grounding.refcoco import RefCoco
from manifests import storage
from manifests.errors import FileError
from tests.ingest.grounding.reading import messages, objects, read_rows, write_file
from tests.make import make_image

INSTANCES: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "COCO_train2014_7.jpg", "width": 100, "height": 50, "license": 4},
        {"id": 8, "file_name": "COCO_train2014_8.jpg", "width": 200, "height": 200},
        {"id": 9, "file_name": "gone.jpg"},
    ],
    "annotations": [
        {
            "id": 70, "image_id": 7, "category_id": 1, "bbox": [10, 5, 50, 25], "area": 9.5,
            "segmentation": [[10, 5, 60, 5, 60, 30]], "iscrowd": 0,
        },
        {"id": 80, "image_id": 8, "category_id": 3, "bbox": [20, 40, 100, 60]},
        {"id": 81, "image_id": 8, "category_id": 3, "bbox": [0, 0, 200, 200]},
        {"id": 90, "image_id": 9, "category_id": 3, "bbox": [0, 0, 200, 200]},
        {"id": 91, "image_id": 8, "category_id": 5, "bbox": [0, 0, 200, 200]},
        {"id": "x", "broken": True},
    ],
    "categories": [{"id": 1, "name": "dog"}, {"id": 3, "name": "cat"}],
}  # fmt: skip


def ref(number: int, image: int, annotation: int, *texts: str, **changes: Any) -> dict[str, Any]:
    """A ref in the form of RefCOCO's files."""
    sentences = [
        {"tokens": text.split(), "raw": text, "sent_id": 10 * number + n, "sent": text}
        for n, text in enumerate(texts)
    ]
    return {
        "ref_id": number, "ann_id": annotation, "image_id": image, "category_id": 1,
        "file_name": f"COCO_train2014_{image}_{annotation}.jpg", "split": "train",
        "sent_ids": [s["sent_id"] for s in sentences], "sentences": sentences,
    } | changes  # fmt: skip


REFS = [
    ref(1, 8, 81, "the big cat"),
    ref(2, 7, 70, "a dog", "left one", split="val"),
    ref(3, 8, 80, "the other", split="testA"),
]


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_file(tmp_path / "COCO_train2014_7.jpg", make_image(100, 50))
    write_file(tmp_path / "COCO_train2014_8.jpg", make_image(200, 200))
    write_file(tmp_path / "instances.json", INSTANCES)


def refs(base: Path, value: Any, protocol: int = 2, **settings: Any) -> Any:
    write_file(base / "refs(unc).p", pickle.dumps(value, protocol))
    return read_rows(RefCoco(name="own", path="*.p", **settings), base)


def ids(number: int, annotation: int, sentence: int, split: str) -> dict[str, Any]:
    return {"ref_id": number, "ann_id": annotation, "split": split, "sent_id": sentence}


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_each_sentence_is_an_object_with_the_box_of_its_ref(tmp_path: Path, protocol: int) -> None:
    rows, failures = refs(tmp_path, REFS, protocol)
    assert failures == []
    assert [row["origin"] for row in rows] == ["refs(unc).p#8", "refs(unc).p#7"]
    assert objects(rows[0]) == [
        {
            "label": "cat", "box": [0, 0, 1000, 1000], "text": "the big cat",
            "attributes": ids(1, 81, 10, "train"),
        },
        {
            "label": "cat", "box": [100, 200, 600, 500], "text": "the other",
            "attributes": ids(3, 80, 30, "testA"),
        },
    ]  # fmt: skip
    dog = {
        "label": "dog",
        "box": [100, 100, 600, 600],
        "polygon": [[100, 100, 600, 100, 600, 600]],
    }
    assert objects(rows[1]) == [
        dog | {"text": text, "attributes": ids(2, 70, number, "val") | {"area": 9.5}}
        for number, text in ((20, "a dog"), (21, "left one"))
    ]
    assert rows[1]["meta"] == {"file_name": "COCO_train2014_7.jpg", "license": 4}


def test_only_refs_of_the_chosen_splits_are_read(tmp_path: Path) -> None:
    rows, failures = refs(tmp_path, REFS, split=["train", "val"])
    texts = [[one["text"] for one in row["objects"]] for row in rows]
    assert (texts, failures) == ([["the big cat"], ["a dog", "left one"]], [])


def test_the_raw_sentence_is_kept_if_it_differs(tmp_path: Path) -> None:
    one = ref(1, 8, 81, "a", "b", "c")
    one["sentences"][0]["raw"] = "A!"
    one["sentences"][1] |= {"sent": " ", "raw": "B?"}
    one["sentences"][2] |= {"sent": "", "raw": ""}
    rows, failures = refs(tmp_path, [one])
    texts = [(t["text"], t["attributes"].get("raw")) for t in rows[0]["objects"]]
    assert texts == [("a", "A!"), ("B?", None)]
    assert list(messages(failures)) == ["refs[0].sentences[2]"]


def test_every_fault_of_a_ref_fails_it_alone_with_its_place(tmp_path: Path) -> None:
    broken = {
        "the ref's image_id is 6, but no image has this id": ref(4, 6, 70, "a"),
        "the ref's ann_id is 71, but no annotation has this id": ref(4, 7, 71, "a"),
        "the annotation 80 belongs to image 8, not to 7": ref(4, 7, 80, "a"),
        "the category id is 5, but no sound entry of `categories` has this id": ref(4, 8, 91, "a"),
        "the ref has an empty list of sentences": ref(4, 7, 70),
        "the field 'sentences' is None, not a list": ref(4, 7, 70, sentences=None),
        "the field 'ref_id' is None, neither a whole number nor text": ref(
            4, 7, 70, "a", ref_id=None
        ),
        "the field 'split' is b'x', neither text nor a whole number": ref(
            4, 7, 70, "a", split=b"x"
        ),
        f"the field 'ann_id' is {2**70}, neither text nor a whole number": ref(4, 7, 2**70, "a"),
        "the field 'image_id' is '\\ud800', neither text nor a whole number": ref(
            4, 7, 7, image_id="\ud800"
        ),
        "the ref is 5, not a JSON object": 5,
    }
    whole, _ = refs(tmp_path, REFS)
    for message, one in broken.items():
        rows, failures = refs(tmp_path, [*REFS, one], protocol=4)
        assert messages(failures) == {"refs[3]": message}
        assert [row["objects"] for row in rows] == [row["objects"] for row in whole]
        image = None if one == 5 else str(one["image_id"])
        lost = {row["origin"].rpartition("#")[2]: "curate.lost" in row["meta"] for row in rows}
        assert lost == {key: image in (None, key) for key in lost}


def test_refs_with_one_id_all_fail(tmp_path: Path) -> None:
    rows, failures = refs(tmp_path, [*REFS, ref(2, 7, 70, "a")])
    assert set(messages(failures).values()) == {"2 refs have the ref_id 2"}
    assert len(failures) == 2
    assert [len(row["objects"]) for row in rows] == [2]


def test_malformed_sentences_fail_alone(tmp_path: Path) -> None:
    one = ref(4, 7, 70, "a", "b", "c")
    one["sentences"][0] = "text"
    one["sentences"][1]["sent"] = ["b"]
    rows, failures = refs(tmp_path, [one])
    assert [one["text"] for one in rows[0]["objects"]] == ["c"]
    assert messages(failures) == {
        "refs[0].sentences[0]": "a sentence is 'text', not a JSON object",
        "refs[0].sentences[1]": "the field 'sent' is ['b'], neither text nor a whole number",
    }


def test_a_missing_image_fails_once_for_all_its_refs(tmp_path: Path) -> None:
    rows, failures = refs(tmp_path, [*REFS, ref(4, 9, 90, "a"), ref(5, 9, 90, "b")])
    assert (len(rows), list(messages(failures))) == (2, ["9"])


def test_a_ref_to_an_id_that_occurs_twice_fails(tmp_path: Path) -> None:
    twice = {**INSTANCES, "annotations": [*INSTANCES["annotations"], INSTANCES["annotations"][0]]}
    write_file(tmp_path / "instances.json", twice)
    rows, failures = refs(tmp_path, REFS)
    assert messages(failures) == {
        "refs[1]": "two entries of `annotations` have the id 70 in instances.json"
    }
    write_file(tmp_path / "instances.json", {**INSTANCES, "images": INSTANCES["images"] * 2})
    rows, failures = refs(tmp_path, REFS)
    assert rows == []
    assert messages(failures) == {
        "refs[0]": "two entries of `images` have the id 8 in instances.json",
        "refs[1]": "two entries of `images` have the id 7 in instances.json",
        "refs[2]": "two entries of `images` have the id 8 in instances.json",
    }


def test_instances_and_images_may_be_in_other_folders(tmp_path: Path) -> None:
    whole, _ = refs(tmp_path, REFS)
    (tmp_path / "images").mkdir()
    for name in ("COCO_train2014_7.jpg", "COCO_train2014_8.jpg"):
        (tmp_path / name).rename(tmp_path / "images" / name)
    (tmp_path / "instances.json").rename(tmp_path / "all.json")
    with pytest.raises(FileError, match=r"instances\.json: the file does not exist"):
        refs(tmp_path, REFS)
    rows, failures = refs(tmp_path, REFS, instances="all.json", media_root="images")
    assert ([row["objects"] for row in rows], failures) == ([r["objects"] for r in whole], [])


def test_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = refs(tmp_path, REFS)
    monkeypatch.setattr(refcoco, "BATCH_IMAGES", 1)
    assert refs(tmp_path, REFS) == whole


def test_a_pickle_of_anything_else_is_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="the pickle contains a dict, not a list of refs"):
        refs(tmp_path, {"refs": REFS})
    with pytest.raises(FileError, match="the pickle uses the instruction"):
        refs(tmp_path, [*REFS, {1, 2}], protocol=4)


def test_only_pickled_refs_are_recognised(tmp_path: Path) -> None:
    files = {f"{n}.p": pickle.dumps(REFS, n) for n in range(6)}
    files |= {"other.p": pickle.dumps([1, 2]), "ref_id.json": b'[{"ref_id": 1, "sentences": []}]'}
    taken = set()
    for name, data in files.items():
        write_file(tmp_path / name, data)
        if RefCoco.sniff(sniff.head(storage.list_files(str(tmp_path / name))[0], "")):
            taken.add(name)
    assert taken == {f"{n}.p" for n in range(6)}


def test_a_broken_value_of_instances_is_named(tmp_path: Path) -> None:
    write_file(tmp_path / "refs(unc).p", pickle.dumps(REFS))
    whole = json.dumps(INSTANCES).encode()
    write_file(tmp_path / "instances.json", b'{"info": tru, ' + whole[1:])
    _, failures = read_rows(RefCoco(name="own", path="refs(unc).p"), tmp_path)
    assert "refs(unc).p#info" in [failure.origin for failure in failures]
