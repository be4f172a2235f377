"""Both forms of ScreenSpot become the same record, though `bbox` has another meaning in each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest.grounding.screenspot import ScreenSpot
from curate.ingest.reader import Head
from manifests.errors import InputError
from manifests.storage import File
from tests.ingest.grounding.reading import PHOTO, read_annotated, write_files
from tests.make import make_image
from tests.runs import run_recipe

ROW = {
    "img_filename": "pc_1.png",
    "bbox": [10, 20, 30, 10],
    "instruction": "close this window",
    "data_type": "icon",
    "data_source": "windows",
}
OBJECT = {"label": "icon", "box": [100, 400, 400, 600], "text": "close this window"}


def screenspot(path: str = "a.json", **settings: Any) -> ScreenSpot:
    return ScreenSpot.model_validate({"name": "a", "path": path, **settings})


def listed(base: Path, *changes: Any) -> Path:
    rows = [ROW | change if isinstance(change, dict) else change for change in changes]
    return write_files(base, {"a.json": json.dumps(rows, indent=2), "imgs/pc_1.png": PHOTO})


def test_the_json_of_the_repository_has_a_corner_and_a_size_in_pixels(tmp_path: Path) -> None:
    listed(tmp_path, {}, {"instruction": "again"})
    found = read_annotated(screenspot(media_root="imgs"), tmp_path)
    assert found.failures == {}
    assert found.records == {
        f"a.json#{n}": {
            "image": "imgs/pc_1.png",
            "text": [],
            "objects": [OBJECT | {"text": text}],
            "meta": {"img_filename": "pc_1.png", "data_source": "windows"},
        }
        for n, text in enumerate(("close this window", "again"))
    }


def test_the_parquet_of_hugging_face_has_two_corners_in_fractions(tmp_path: Path) -> None:
    columns = {
        "file_name": ["pc_1.png"],
        "bbox": pa.array([[0.1, 0.4, 0.4, 0.6]], pa.list_(pa.float32())),
        "instruction": ["close this window"],
        "data_type": ["icon"],
        "data_source": ["windows"],
        "image": [{"bytes": PHOTO, "path": "pc_1.png"}],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert read_annotated(screenspot("a.parquet"), tmp_path).records == {
        "a.parquet#0": {
            "image": "kept:kept.bin",
            "text": [],
            "objects": [OBJECT],
            "meta": {"file_name": "pc_1.png", "data_source": "windows"},
        }
    }


def test_screenspot_pro_is_recognised_by_ui_type_and_has_two_corners_in_pixels(
    tmp_path: Path,
) -> None:
    pro = {"bbox": [150, 60, 190, 90], "img_size": [200, 100], "ui_type": "text", "id": "x"}
    rows = [{k: v for k, v in (ROW | pro).items() if k != "data_type"}] * 4
    write_files(tmp_path, {"a.json": json.dumps(rows), "pc_1.png": make_image(200, 100)})
    with pytest.raises(InputError) as raised:
        read_annotated(screenspot(space="xywh pixel"), tmp_path)
    assert "'xyxy pixel'" in raised.value.fix
    row = read_annotated(screenspot(), tmp_path).records["a.json#3"]
    assert row["objects"] == [{"label": "text", "box": [750, 600, 950, 900], "text": ROW[
        "instruction"]}]  # fmt: skip
    assert row["meta"]["id"] == "x"


@pytest.mark.parametrize(("change", "fault"), [
    ({"instruction": None}, ("the fields 'instruction' and 'data_type' are None and 'icon', "
                            "not text")),
    ({"data_type": 5}, "are 'close this window' and 5, not text"),
    ({"bbox": None}, "the row has no 'bbox'"),
    ({"bbox": [1, 2, 3]}, "object 0: [1, 2, 3] is not 4 numbers"),
    ({"img_filename": "x.png"}, "there is no such file"),
    ({"img_filename": None}, ("the row has no image: the column 'img_filename' is None, not a "
                             "path")),
    ({"img_size": [50, 50]}, "the aspect ratios differ."),
    (5, "the element is 5, not a JSON object"),
])  # fmt: skip
def test_a_broken_row_fails_alone(tmp_path: Path, change: Any, fault: str) -> None:
    listed(tmp_path, {}, change, {})
    found = read_annotated(screenspot(media_root="imgs"), tmp_path)
    assert [*found.records] == ["a.json#0", "a.json#2"]
    [(key, (_, message))] = found.failures.items()
    assert key == "a.json#1"
    assert fault in message


def test_fractions_in_a_file_of_pixels_stop_the_run(tmp_path: Path) -> None:
    listed(tmp_path, *[{"bbox": [0.1, 0.4, 0.4, 0.6]}] * 3)
    with pytest.raises(InputError, match=r"'xywh pixel'.*would fit '.* fraction'"):
        read_annotated(screenspot(media_root="imgs"), tmp_path)


def test_files_are_recognised_by_their_fields_and_read_by_the_command_line(tmp_path: Path) -> None:
    listed(tmp_path, {}, {}, 5)
    data = (tmp_path / "a.json").read_bytes()
    head = Head(File("a.json", "a.json", len(data), 0), data)
    assert ScreenSpot.sniff(head)
    assert not ScreenSpot.sniff(head._replace(data=b'[{"bbox": [1], "img_filename": "a"}]'))
    source = {"name": "a", "reader": "screenspot", "path": "a.json", "media_root": "imgs"}
    assert run_recipe(tmp_path, source).accounts["read a"] == (3, 2, {}, {"RowError": 1})


def test_each_row_has_the_space_of_its_own_fields(tmp_path: Path) -> None:
    pro = {k: v for k, v in ROW.items() if k != "data_type"} | {
        "ui_type": "icon", "bbox": [10, 20, 40, 30]
    }  # fmt: skip
    both, neither = ROW | {"ui_type": "icon"}, {k: v for k, v in pro.items() if k != "ui_type"}
    rows = [ROW, pro, ROW, both, neither]
    write_files(tmp_path, {"a.json": json.dumps(rows), "pc_1.png": PHOTO})
    found = read_annotated(screenspot(), tmp_path)
    assert {key: row["objects"] for key, row in found.records.items()} == {
        f"a.json#{n}": [OBJECT] for n in range(3)
    }
    assert [message for _, message in found.failures.values()] == [
        f"the row has {has} of 'data_type' and 'ui_type', so it is not known whether its 'bbox' is "
        "x y width height (ScreenSpot) or two corners (ScreenSpot-Pro). Set `space`, for example "
        "to `xywh pixel` or `xyxy pixel`."
        for has in ("both", "neither")
    ]
    assert read_annotated(screenspot(space="xywh pixel"), tmp_path).failures == {}
