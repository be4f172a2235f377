"""Each task of a Label Studio export becomes one record with its regions, or one failure."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.ingest.grounding.annotations.brush_masks import brush_mask
from curate.ingest.grounding.label_studio import LabelStudio
from manifests.errors import RowError
from tests.ingest.grounding.reading import PHOTO, read_annotated, write_file, write_files
from tests.ingest.test_counts import counted
from tests.runs import run_recipe


def reader(**settings: Any) -> LabelStudio:
    return LabelStudio.model_validate({"name": "a", "path": "a.json"} | settings)


def result(kind: str, **value: Any) -> dict[str, Any]:
    labels = {kind: ["cat"]} if kind.endswith("labels") else {}
    return {"id": f"r{len(value)}{kind}", "type": kind, "from_name": "own", "to_name": "img",
            "original_width": 100, "original_height": 50, "image_rotation": 0,
            "value": labels | value}  # fmt: skip


def task(*results: Any, **more: Any) -> dict[str, Any]:
    image = more.pop("image", "/data/upload/1/a.jpg")
    return {"id": 7, "data": {"image": image}, "annotations": [{"result": results}]} | more


def read(base: Path, *tasks: Any, **settings: Any) -> Any:
    write_file(base / "a.json", list(tasks))
    write_files(base, {"a.jpg": PHOTO})
    return read_annotated(reader(**settings), base)


def packed(values: np.ndarray) -> list[int]:
    """Values as rle-pack writes them, by blocks of equal values and blocks of single ones."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    borders = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    singles: list[int] = []
    for start, stop in [*pairwise(borders), (0, 0)]:
        if stop - start == 1:
            singles.append(int(values[start]))
            continue
        if singles:
            bits += f"0{3:02b}{len(singles) - 1:016b}" + "".join(f"{one:08b}" for one in singles)
            singles = []
        for at in range(start, stop, 1 << 8):
            bits += f"1{2:02b}{min(stop - at, 1 << 8) - 1:08b}{values[at]:08b}"
    return list(int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big"))


def drawn(mask: np.ndarray) -> list[int]:
    """A mask as the brush writes it: its pixels are opaque, and of any colour."""
    pixels = np.random.default_rng(0).integers(0, 255, (*mask.shape, 4), np.uint8)
    pixels[:, :, 3] = mask * 255
    pixels[: len(mask) // 2] = mask[: len(mask) // 2, :, None] * 255
    return packed(pixels.ravel())


MASK = np.zeros((50, 100), bool)
MASK[5:8, 10:12] = True
MASK[5, 11] = False
RLE = {"size": [50, 100], "counts": [505, 3, 48, 2, 4442]}

SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rectangle": (
        result("rectanglelabels", x=10, y=10, width=20, height=5, rotation=0),
        {"box": [100, 100, 300, 150], "attributes": {"rotation": 0}},
    ),
    "rotated rectangle": (
        result("rectanglelabels", x=50, y=20, width=10, height=40, rotation=90),
        {"box": [300, 200, 500, 400],
         "polygon": [[500, 200, 500, 400, 300, 400, 300, 200]], "attributes": {"rotation": 90}},
    ),
    "polygon": (
        result("polygonlabels", points=[[10, 10], [20, 10], [20, 21]], closed=True),
        {"polygon": [[100, 100, 200, 100, 200, 210]], "attributes": {"closed": True}},
    ),
    "key point": (
        result("keypointlabels", x=10, y=20, width=0.5),
        {"point": [100, 200], "attributes": {"width": 0.5}},
    ),
    "ellipse": (
        result("ellipselabels", x=50, y=50, radiusX=10, radiusY=10, rotation=90),
        {"box": [450, 300, 550, 700],
         "attributes": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10, "rotation": 90}},
    ),
    "upright ellipse": (
        result("ellipselabels", x=50, y=50, radiusX=10, radiusY=10),
        {"box": [400, 400, 600, 600],
         "attributes": {"x": 50, "y": 50, "radiusX": 10, "radiusY": 10}},
    ),
    "brush": (
        result("brushlabels", format="rle", rle=drawn(MASK)),
        {"box": [100, 100, 120, 160], "attributes": {"rle": RLE}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHAPES)
def test_a_region_is_an_object_and_nothing_of_it_is_lost(tmp_path: Path, kind: str) -> None:
    shape, wanted = SHAPES[kind]
    found = read(tmp_path, task(shape | {"origin": "manual"}, file_upload="a.jpg"))
    assert found.failures == {}
    attributes = {"type": shape["type"], "from_name": "own", "origin": "manual"}
    objects = [{"label": "cat"} | wanted | {"attributes": attributes | wanted["attributes"]}]
    data = {"image": "/data/upload/1/a.jpg"}
    assert found.records == {
        "a.json#0": {
            "image": "a.jpg",
            "text": [],
            "objects": objects,
            "meta": {"id": 7, "data": data, "file_upload": "a.jpg"},
        }
    }


def test_results_with_one_id_are_one_region(tmp_path: Path) -> None:
    box = {"x": 10, "y": 10, "width": 20, "height": 5}
    results = [
        result("rectangle", **box) | {"id": "r"},
        result("labels", **box) | {"id": "r"},
        result("textarea", **box, text=["STOP"]) | {"id": "r"},
        result("choices", **box, choices=["blurred"]) | {"id": "r", "from_name": "quality"},
    ]
    [found] = read(tmp_path, task(*results)).records["a.json#0"]["objects"]
    assert (found["label"], found["text"], found["box"]) == ("cat", "STOP", [100, 100, 300, 150])
    assert found["attributes"] == {
        "type": "rectangle", "from_name": "own", "results": {"quality": ["blurred"]},
    }  # fmt: skip
    results[2]["value"]["text"] = ["STOP", "GO"]
    [found] = read(tmp_path, task(*results)).records["a.json#0"]["objects"]
    assert (found.get("text"), found["attributes"]["results"]["own"]) == (None, ["STOP", "GO"])
    results += [
        result("textarea", **box, text="LEFT") | {"id": "r", "from_name": "type"},
        result("choices", **box, choices=["dark"]) | {"id": "r", "from_name": "quality"},
    ]
    [found] = read(tmp_path, task(*results)).records["a.json#0"]["objects"]
    assert found["attributes"] == {
        "type": "rectangle", "from_name": "own",
        "results": {"own": ["STOP", "GO"], "type": "LEFT", "quality": [["blurred"], ["dark"]]},
    }  # fmt: skip


def test_texts_and_choices_of_the_image_are_kept(tmp_path: Path) -> None:
    def plain(kind: str, name: str, **value: Any) -> dict[str, Any]:
        return {"type": kind, "from_name": name, "to_name": "img", "value": value}

    caption, other = plain("textarea", "a", text=["A cat."]), plain("textarea", "b", text=["Un."])
    choice = plain("choices", "kind", choices=["indoor"])
    relation = {"type": "relation", "from_id": "x", "to_id": "y", "direction": "right"}
    one, two, named = (
        read(tmp_path, task(*some, choice, relation), **settings).records["a.json#0"]
        for some, settings in (((caption,), {}), ((caption, other), {}),
                               ((caption, other), {"text": "b"}))
    )  # fmt: skip
    assert [row["text"] for row in (one, two, named)] == [["A cat."], [], ["Un."]]
    assert two["meta"]["results"] == {"a": ["A cat."], "b": ["Un."], "kind": ["indoor"]}
    assert two["meta"]["relations"] == [relation]


def test_regions_that_fail_mark_their_image(tmp_path: Path) -> None:
    good = result("rectanglelabels", x=10, y=10, width=20, height=5)
    brush = result("brushlabels", format="rle", rle=drawn(MASK)[:40])
    bad = [
        result("vectorlabels", x=1), result("keypointlabels", x="1", y=2), brush,
        result("brushlabels", format="png", rle=[1]), result("polygonlabels", points=[[1, 2]]),
        good | {"id": "rotated", "image_rotation": 90},
        good | {"id": "two", "value": good["value"] | {"rectanglelabels": ["cat", "dog"]}},
        result("brushlabels", format="rle", rle=drawn(MASK & False)),
        result("brushlabels", format="rle", rle=10**12),
        result("brushlabels", format="rle", rle=[10**30]),
        result("keypointlabels", x=10**400, y=2), result("keypointlabels", x=1, y=2, type="dot"),
    ]  # fmt: skip
    bad = [one | {"id": str(number)} for number, one in enumerate(bad)]
    bad += [good | {"id": "twice"}] * 2
    found = read(tmp_path, task(good, *bad))
    row = found.records["a.json#0"]
    assert (len(row["objects"]), row["meta"]["curate.lost"]) == (1, {"annotations": 13})
    faults = [message for _, message in found.failures.values()]
    wanted = [
        "region 1, a 'vectorlabels': a region of the type vectorlabels is not supported",
        "region 2, a 'keypointlabels': 'x' is '1', not a number",
        "not a mask of 100 x 50 pixels", "a mask of the format 'png' is not supported",
        "'points' is [[1, 2]], not three or more points x y", "rotated by 90 degrees",
        "the region has the labels 'cat', 'dog', but an object can have only one label",
        "the mask is empty: it has no pixel", "'rle' is 1000000000000, not a mask of 100 x 50",
        f"'rle' is [{10**30}], not a mask of 100 x 50", f"'x' is {10**79}, not a number",
        "the attribute 'type' has two values, 'keypointlabels' and 'dot'",
        "2 shapes have the id 'twice'",
    ]  # fmt: skip
    assert len(faults) == len(wanted)
    assert all(want in fault for want, fault in zip(wanted, faults, strict=True))


def test_of_several_annotations_none_is_read_unless_a_setting_chooses(tmp_path: Path) -> None:
    def annotation(x: float, **more: Any) -> dict[str, Any]:
        return {"result": [result("keypointlabels", x=x, y=20)]} | more

    several = [annotation(10, updated_at="2024-01-02"), annotation(30, was_cancelled=True),
               annotation(20, updated_at="2024-01-01", ground_truth=True)]  # fmt: skip
    one = task(annotations=several)
    [(error, message)] = read(tmp_path, one).failures.values()
    assert (error, message) == (
        "RowError",
        "the task has 2 annotations, so it is not known which of them is right. Set "
        "`annotation` to ground_truth or latest.",
    )
    for chosen, x in (("ground_truth", 200), ("latest", 100)):
        [found] = read(tmp_path, one, annotation=chosen).records["a.json#0"]["objects"]
        assert found["point"] == [x, 200]
    same = task(annotations=[several[0], several[0]])
    [(_, message)] = read(tmp_path, same, annotation="latest").failures.values()
    assert message.startswith(
        "2 of the 2 annotations of the task have the latest date; exactly one is needed."
    )
    undated = task(annotations=[annotation(10), annotation(20)])
    [(_, message)] = read(tmp_path, undated, annotation="latest").failures.values()
    assert message.startswith("none of the 2 annotations of the task has a date, so the latest is")


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("/data/local-files/?d=img/b%20c.jpg", "img/b c.jpg"),
        ("http://host:8080/data/upload/1/img/b%20c.jpg", "img/b c.jpg"),
        ("s3://bucket/img/b c.jpg", "img/b c.jpg"),
        ("img/b c.jpg", "img/b c.jpg"),
        ("C:\\img\\b c.jpg", None),
        ("data:image/png;base64,aaaa", None),
        (5, None),
    ],
)
def test_images_are_found_by_url_or_path(tmp_path: Path, image: Any, found: str | None) -> None:
    write_files(tmp_path, {"img/b c.jpg": PHOTO})
    read_all = read(tmp_path, task(image=image))
    assert [row["image"] for row in read_all.records.values()] == ([found] if found else [])
    assert len(read_all.failures) == (found is None)


def test_two_uploads_are_not_read_from_one_file(tmp_path: Path) -> None:
    found = read(tmp_path, task(image="/data/upload/1/a.jpg"), task(image="/data/upload/2/a.jpg"))
    assert found.records == {}
    assert all("may also be" in message for _, message in found.failures.values())


def test_tasks_that_nobody_annotated_are_left_aside_and_all_are_counted(tmp_path: Path) -> None:
    cancelled = task(annotations=[{"result": [], "was_cancelled": True}])
    tasks = [task(), task(annotations=[]), cancelled, 5, task(annotations=5), task("x")]
    write_file(tmp_path / "a.json", tasks)
    write_files(tmp_path, {"a.jpg": PHOTO})
    total, failures = counted(reader(), tmp_path)
    assert str(total) == (
        "elements 6 = 1 in 1 record + 3 failed + 2 left aside "
        "(skipped task 1, task without annotation 1)"
    )
    assert [units for _, units, _ in failures] == [1, 1, 1]


def test_a_size_that_is_turned_is_not_used_for_rotated_shapes(tmp_path: Path) -> None:
    rotated = SHAPES["rotated rectangle"][0]
    found = read(tmp_path, task(rotated), turned_sizes=True)
    assert (
        "needed for this region, but the size is not certain"
        in next(iter(found.failures.values()))[1]
    )
    unknown = {k: v for k, v in rotated.items() if not k.startswith("original")}
    found = read(tmp_path, task(unknown))
    assert (
        "original_width and original_height are missing" in next(iter(found.failures.values()))[1]
    )
    sizes = [rotated, SHAPES["brush"][0] | {"original_width": 50, "original_height": 25}]
    assert read(tmp_path, task(*sizes)).failures["a.json#0"][1] == (
        "the regions of the task state different image sizes in original_width and "
        "original_height: 100 x 50 and 50 x 25. They must be equal. Write the size of the task's "
        "image in all its regions, or delete the regions that were drawn on another image."
    )


def test_sizes_of_regions_are_compared_as_numbers(tmp_path: Path) -> None:
    box = result("rectanglelabels", x=10, y=10, width=20, height=5)
    same = box | {"original_width": 100.0, "id": "b"}
    assert len(read(tmp_path, task(box, same)).records["a.json#0"]["objects"]) == 2
    huge = read(tmp_path, task(box | {"original_width": 10**400}), task(box))
    assert [*huge.records] == ["a.json#1"]
    assert "not two numbers of 1 or more" in huge.failures["a.json#0"][1]


def test_random_masks_are_unpacked_as_they_were_drawn() -> None:
    random = np.random.default_rng(0)
    for width, height in ((1, 1), (7, 5), (40, 30)):
        mask = random.random((height, width)) < 0.3
        assert (brush_mask(drawn(mask), (width, height)) == mask).all()
        for broken in (drawn(mask)[:-1], [], "abc", [256], drawn(mask)[:8], None):
            with pytest.raises(RowError, match="not a mask of"):
                brush_mask(broken, (width, height))
        with pytest.raises(RowError, match="not a mask of"):
            brush_mask(drawn(mask), (width + 1, height))


def test_an_export_is_recognised_and_read_by_the_command_line(tmp_path: Path) -> None:
    read(tmp_path, task(SHAPES["rectangle"][0]))
    made = run_recipe(tmp_path, {"name": "a", "reader": "label_studio", "path": "a.json"})
    assert made.accounts["read a"] == (1, 1, {}, {})
