"""The step `locate` in complete runs: what is asked, and where the objects found are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.engine.ray import RayExecutor
from manifests.errors import RecipeError
from tests.make import make_image
from tests.recaption.endpoint import Answer, Asked, Endpoint, reply
from tests.recaption.locate.finder import (
    Box,
    Finder,
    drawn,
    located,
    names,
    pixels,
    rectangle,
    seen,
)
from tests.recaption.locate.locate_runs import COLOURS, locate, records, run, write
from tests.runs import file_bytes

BOXES: dict[str, Box] = {"red": (20, 30, 120, 90), "blue": (200, 100, 300, 220)}


def found(row: dict[str, Any], step: str = "locate") -> dict[str, list[float]]:
    return {one["label"]: one["box"] or one["point"] for one in row[f"{step}.found"]}


def test_a_model_is_asked_for_all_categories_at_once(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = Finder()
    write(tmp_path, {"a": drawn(BOXES), "b": drawn({"green": (0, 0, 100, 50)}), "c": drawn({})})
    rows = records(tmp_path, run(tmp_path, locate(endpoint)))
    assert found(rows["a"]) == {
        "red": pytest.approx([62, 125, 375, 375], abs=5),
        "blue": pytest.approx([625, 417, 938, 917], abs=5),
    }
    assert {name: row["locate.status"] for name, row in rows.items()} == {
        "a": "located", "b": "located", "c": "nothing found",
    }  # fmt: skip
    assert rows["c"]["locate.found"] == []
    assert {tuple(row["locate.asked"]) for row in rows.values()} == {tuple(COLOURS)}
    assert {row["locate.model_and_seed"] for row in rows.values()} == {"test-vlm, seed 0"}
    assert {row["locate.model"] for row in rows.values()} == {"test-vlm-2026"}
    assert all(row["objects"] == [] for row in rows.values())
    assert [names(one) for one in endpoint.asked] == [COLOURS] * 3
    assert '{"bbox_2d": [x1, y1, x2, y2], "label": "..."}' in endpoint.asked[0].text


@pytest.mark.parametrize("max_pixels", [1 << 20, 20_000])
@pytest.mark.parametrize("space", ["relative_1000", "pixels_sent", "pixels_resized"])
def test_coordinates_are_on_the_upright_image_in_all_orientations_and_spaces(
    tmp_path: Path, endpoint: Endpoint, space: str, max_pixels: int
) -> None:
    scales = {"relative_1000": lambda size: (1000, 1000), "pixels_sent": pixels,
              "pixels_resized": lambda size: tuple(28 * round(n / 28) for n in size)}  # fmt: skip
    endpoint.answer = Finder(scales[space])
    images = {f"exif {n}": drawn(BOXES, orientation=n) for n in range(1, 9)}
    images["odd"] = drawn({"red": (10, 20, 101, 77), "blue": (150, 30, 260, 110)}, (311, 173))
    write(tmp_path, images)
    rows = records(tmp_path, run(tmp_path, locate(endpoint, space=space, max_pixels=max_pixels)))
    assert len(rows) == 9
    for name, row in rows.items():
        for colour in ("red", "blue"):
            shown = seen(images[name], colour)
            assert shown == pytest.approx(found(row)[colour], abs=10), (name, colour)


def test_points_are_located_too(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = Finder(points=True)
    write(tmp_path, {"a": drawn(BOXES, orientation=6)})
    [row] = records(tmp_path, run(tmp_path, locate(endpoint, what="points"))).values()
    assert '{"point_2d": [x, y], "label": "..."}' in endpoint.asked[0].text
    shown = seen(drawn(BOXES, orientation=6), "red")
    assert shown is not None
    middle = np.mean([shown[:2], shown[2:]], axis=0)
    assert row["locate.found"][0]["box"] is None
    assert found(row)["red"] == pytest.approx(middle.tolist(), abs=5)


def test_a_bad_reply_is_asked_for_again_and_then_its_fault_is_the_status(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    outside = [{"bbox_2d": [0, 0, 1001, 5], "label": "red"}]

    def answer(asked: Asked) -> Answer:
        size = asked.sizes[0]
        if size == (100, 50):
            return located(outside) if asked.body["seed"] == 0 else located([])
        return located(outside) if size == (100, 60) else reply("There is a red cat.")

    endpoint.answer = answer
    images = {f"{h}": drawn(BOXES, (100, h)) for h in (50, 60, 70)}
    write(tmp_path, images)
    rows = records(tmp_path, run(tmp_path, locate(endpoint)))
    assert {name: row["locate.status"] for name, row in rows.items()} == {
        "50": "nothing found", "60": "outside the image", "70": "not JSON",
    }  # fmt: skip
    assert rows["60"]["locate.found"] is None
    assert rows["60"]["locate.replies"] == 2
    assert rows["50"]["locate.model_and_seed"] == "test-vlm, seed 1"


def test_equal_boxes_are_counted_and_one_is_kept(tmp_path: Path, endpoint: Endpoint) -> None:
    box = {"bbox_2d": [1, 2, 3, 4], "label": "red"}
    endpoint.answer = lambda asked: located([box, {**box, "label": "blue"}, box, box])
    write(tmp_path, {"a": drawn(BOXES)})
    [row] = records(tmp_path, run(tmp_path, locate(endpoint))).values()
    assert [one["label"] for one in row["locate.found"]] == ["red", "blue"]
    assert row["locate.repeated"] == 2


def test_the_text_of_a_record_is_the_description(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda asked: located([{"bbox_2d": [1, 2, 3, 4], "label": "anything"}])
    write(tmp_path, {'the "left" one {kind}': drawn(BOXES)})
    [row] = records(tmp_path, run(tmp_path, locate(endpoint, descriptions="text"))).values()
    assert 'the description "the \\"left\\" one {kind}"' in endpoint.asked[0].text
    [one] = row["locate.found"]
    assert (one["label"], one["text"]) == (None, 'the "left" one {kind}')


def test_names_come_from_a_measure_of_an_earlier_step(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = Finder()
    write(tmp_path, {"red": drawn(BOXES), "none": drawn(BOXES)})
    names_step = {"tests.recaption.locate.steps:FirstWord": {}}
    made = run(tmp_path, names_step, locate(endpoint, descriptions="FirstWord.names"))
    rows = records(tmp_path, made)
    assert [names(one) for one in endpoint.asked] == [["red"]]
    assert list(found(rows["red"])) == ["red"]
    assert rows["none"]["locate.status"] == "nothing to locate"


def test_ray_finds_the_same_objects(tmp_path: Path, endpoint: Endpoint, ray: None) -> None:
    endpoint.answer = Finder()
    write(tmp_path, {f"{n}": drawn(BOXES, orientation=1 + n % 8) for n in range(24)}, files=3)
    step = locate(endpoint, space="relative_1000")
    run(tmp_path, step, out="inline")
    run(tmp_path, locate(endpoint, journal="other"), out="ray", executor=RayExecutor(2))
    assert len(endpoint.asked) == 2 * 8
    assert file_bytes(tmp_path / "inline") == file_bytes(tmp_path / "ray")


def test_a_broken_image_is_quarantined_in_every_space(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = Finder(pixels)
    data = make_image(400, 300)
    write(tmp_path, {"cut": data[: len(data) // 2], "good": drawn(BOXES)})
    made = run(tmp_path, locate(endpoint, space="pixels_sent", max_pixels=20_000))
    assert list(records(tmp_path, made)) == ["good"]
    [account] = (one for one in made.ledger if one.step == "locate")
    assert account.quarantined == {"MediaError": 1}


@pytest.mark.parametrize("settings", [
    {"categories": []},
    {"categories": ["red", " RED"]},
    {"categories": [""]},
    {"descriptions": "labels", "categories": ["red"]},
    {"descriptions": "words"},
    {"space": "pixels"},
])  # fmt: skip
def test_a_wrong_setting_is_refused_before_the_run(
    tmp_path: Path, endpoint: Endpoint, settings: dict[str, Any]
) -> None:
    write(tmp_path, {"a": drawn(BOXES)})
    with pytest.raises(RecipeError):
        run(tmp_path, locate(endpoint, **settings))
    assert endpoint.asked == []


def test_the_images_of_these_tests_are_stored_in_their_orientation() -> None:
    import io

    from PIL import Image

    sizes = []
    for n in range(1, 9):
        image = Image.open(io.BytesIO(drawn(BOXES, orientation=n)))
        sizes.append(image.size)
        assert image.getexif()[0x0112] == n
        assert seen(drawn(BOXES, orientation=n), "red") == pytest.approx(
            [62.5, 125, 375, 375], abs=5
        )
    assert sizes == [(320, 240)] * 4 + [(240, 320)] * 4
    stored = rectangle(Image.open(io.BytesIO(drawn(BOXES, orientation=3))), "red")
    assert stored == pytest.approx((200, 150, 300, 210), abs=2)
