"""A row of PixMo becomes a record with its points; their form shows their space."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import cli
from curate.ingest.formats import batching
from curate.ingest.grounding.pixmo import Pixmo
from curate.ingest.reader import Head
from manifests.errors import InputError
from manifests.storage import File
from tests.ingest.grounding.reading import PHOTO, read_annotated, write_files
from tests.make import make_image
from tests.runs import curate, run_recipe, write_recipe

URL = "https://example.org/a.jpg?x=1"
SHA = hashlib.sha256(PHOTO).hexdigest()
LISTED = pa.list_(pa.struct([("x", pa.float64()), ("y", pa.float64())]))
APART = pa.struct([("x", pa.list_(pa.float64())), ("y", pa.list_(pa.float64()))])


def pixmo(**settings: Any) -> Pixmo:
    return Pixmo.model_validate({"name": "a", "path": "a.parquet", "media_root": "."} | settings)


def table(base: Path, kind: pa.DataType, points: list[Any], **columns: list[Any]) -> Path:
    rows = len(points)
    given = {
        "image_url": [URL] * rows,
        "image_sha256": [SHA] * rows,
        "points": pa.array(points, kind),
        "count": [0 if p is None else len(p) for p in points],
        "label": ["cup"] * rows,
    }
    write_files(base, {f"{SHA}.jpg": PHOTO})
    pq.write_table(pa.table({**given, **columns}), base / "a.parquet")
    return base


def meta(count: int) -> dict[str, Any]:
    return {"image_url": URL, "image_sha256": SHA, "count": count, "label": "cup"}


def test_points_in_a_list_are_percent(tmp_path: Path) -> None:
    points = [[{"x": 12.5, "y": 50.0}, {"x": 100.0, "y": 0.0}], [], None]
    found = read_annotated(pixmo(), table(tmp_path, LISTED, points))
    assert found.failures == {}
    base = {"image": f"./{SHA}.jpg", "text": []}
    two = [{"label": "cup", "point": [125, 500]}, {"label": "cup", "point": [1000, 0]}]
    assert found.records == {
        "a.parquet#0": base | {"objects": two, "meta": meta(2)},
        "a.parquet#1": base | {"objects": [], "meta": meta(0)},
        "a.parquet#2": base | {"objects": [], "meta": meta(0)},
    }


def test_points_in_two_lists_are_pixels(tmp_path: Path) -> None:
    points = [{"x": [10.0, 100.0], "y": [25.0, 50.0]}, {"x": [], "y": []}]
    found = read_annotated(pixmo(), table(tmp_path, APART, points, count=[2, 0]))
    row = found.records["a.parquet#0"]
    assert [one["point"] for one in row["objects"]] == [[100, 500], [1000, 1000]]
    assert row["meta"] == meta(2)
    assert found.records["a.parquet#1"]["objects"] == []


def test_pixels_in_a_file_of_percents_stop_the_run(tmp_path: Path) -> None:
    """The card of PixMo-Points says pixels: a copy that has pixels is not read as percent."""
    from tests.make import make_image

    large = make_image(1000, 500)
    points = [[{"x": 640.0, "y": 320.0}], [{"x": 90.0, "y": 400.0}], [{"x": 5.0, "y": 5.0}]]
    write_files(table(tmp_path, LISTED, points), {f"{SHA}.jpg": large})
    with pytest.raises(
        InputError, match=r"points do not fit the coordinate space 'xyxy percent'.*Rows 0, 1"
    ) as raised:
        read_annotated(pixmo(), tmp_path)
    assert "'xyxy pixel'" in raised.value.fix
    first = read_annotated(pixmo(space="xyxy pixel"), tmp_path).records["a.parquet#0"]
    assert first["objects"] == [{"label": "cup", "point": [640, 640]}]


def test_percents_in_a_file_of_pixels_stop_the_run(tmp_path: Path) -> None:
    from tests.make import make_image

    points = [{"x": [n + 1.0], "y": [99.0 - n]} for n in range(60)]
    write_files(table(tmp_path, APART, points), {f"{SHA}.jpg": make_image(1000, 800)})
    with pytest.raises(
        InputError, match=r"'xyxy pixel'.*upper left corner.*would fit 'xyxy percent'"
    ):
        read_annotated(pixmo(), tmp_path)


@pytest.mark.parametrize(("name", "settings"), [
    (f"{hashlib.sha256(URL.encode()).hexdigest()}.jpg", {}),
    (f"{hashlib.md5(URL.encode()).hexdigest()}", {}),
    ("a.jpg", {}),
    (f"x/{SHA[:2]}.jpg", {"file": "x/{image_sha256[0:2]}"}),
])  # fmt: skip
def test_images_are_found_by_their_digest_or_a_name_made_from_the_url(
    tmp_path: Path, name: str, settings: dict[str, Any]
) -> None:
    write_files(table(tmp_path, LISTED, [[]]), {name: PHOTO})
    (tmp_path / f"{SHA}.jpg").unlink()
    row = read_annotated(pixmo(**settings), tmp_path).records["a.parquet#0"]
    assert row["image"] == f"./{name}"


def test_rows_without_image_label_or_points_fail_alone(tmp_path: Path) -> None:
    rows = [
        f'{{"image_url": "{URL}", "image_sha256": "{sha}", "label": {label}, "points": {points}}}'
        for sha, label, points in (
            (SHA, '"cup"', '[{"x": 5, "y": 5}]'),
            ("0" * 64, '"cup"', "[]"),
            (SHA, "null", "[]"),
            (SHA, '"cup"', "5"),
            (SHA, '"cup"', '{"x": [1], "y": []}'),
            (SHA, '"cup"', '[{"x": 5}]'),
        )
    ]
    write_files(tmp_path, {"a.jsonl": "\n".join(rows), f"{SHA}.jpg": PHOTO})
    found = read_annotated(pixmo(path="a.jsonl", file="{image_sha256}"), tmp_path)
    assert [*found.records] == ["a.jsonl#1"]
    assert {key: error for key, (error, _) in found.failures.items()} == {
        "a.jsonl#2": "MediaError", "a.jsonl#3": "RowError", "a.jsonl#4": "RowError",
        "a.jsonl#5": "RowError", "a.jsonl#6": "RowError",
    }  # fmt: skip
    assert "object 0: [5, None] is not 2 numbers" in found.failures["a.jsonl#6"][1]


def test_a_table_that_names_no_image_stops_the_run(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jsonl": '{"label": "cup", "points": []}'})
    with pytest.raises(InputError, match="its columns are: label, points"):
        read_annotated(pixmo(path="a.jsonl"), tmp_path)
    with pytest.raises(InputError, match="no column 'imag'"):
        read_annotated(pixmo(path="a.jsonl", file="{imag}"), tmp_path)


def test_files_are_recognised_by_their_columns_and_read_by_the_command_line(tmp_path: Path) -> None:
    table(tmp_path, LISTED, [[{"x": 12.5, "y": 50.0}]] * 3)
    path = tmp_path / "a.parquet"
    head = Head(File(str(path), "a.parquet", 1, 0), path.read_bytes())
    assert Pixmo.sniff(head)
    assert not Pixmo.sniff(head._replace(data=b'{"image_url": 1, "caption": 2}'))
    source = {"name": "a", "reader": "pixmo", "path": "a.parquet", "media_root": "."}
    assert run_recipe(tmp_path, source).accounts["read a"] == (3, 3, {}, {})


def test_each_row_has_the_space_of_its_own_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of both forms, in batches that begin with either, give the same records."""
    percent, pixels = [{"x": 10.0, "y": 50.0}], {"x": [50.0], "y": [10.0]}
    forms = [percent, None, pixels, pixels, percent, pixels]
    rows = [
        json.dumps({"image_url": URL, "image_sha256": SHA, "label": "cup", "points": form})
        for form in forms
    ]
    write_files(tmp_path, {"a.jsonl": "\n".join(rows), f"{SHA}.jpg": PHOTO})
    wanted = [[100, 500], None, [500, 200], [500, 200], [100, 500], [500, 200]]
    for size in (1, 2, 3, 99):
        monkeypatch.setattr(batching, "BATCH_ROWS", size)
        records = read_annotated(pixmo(path="a.jsonl"), tmp_path).records
        found = [records[f"a.jsonl#{n}"]["objects"] for n in range(1, 7)]
        assert [one[0]["point"] if one else None for one in found] == wanted


def test_the_space_is_judged_over_all_files_of_the_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files of one point each are too small to show that their percents are pixels."""
    write_files(tmp_path, {f"{SHA}.jpg": make_image(1000, 800)})
    for number in range(4):
        row = {"image_url": URL, "image_sha256": SHA, "label": "cup",
               "points": [{"x": 600 + number, "y": 300}]}  # fmt: skip
        write_files(tmp_path, {f"in/{number}.jsonl": json.dumps(row)})
    write_recipe(tmp_path, {"name": "a", "reader": "pixmo", "path": "in", "media_root": "."})
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out", "--inline") == cli.FAILED
    error = capsys.readouterr().err
    assert "curate: in: 4 of 4 points do not fit the coordinate space 'xyxy percent'" in error
