"""Annotations are drawn at their coordinates, in a colour for each label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from curate.inspect.drawing.annotated_image import (
    COLOURS,
    MAX_LABELLED,
    colours_by_name,
    draw_objects,
    image_as_shown,
)
from curate.inspect.drawing.pen import Pen

GREY = (128, 128, 128)
SIZE = (1000, 500)


def changed(objects: list[dict[str, Any]], camera: list[float] | None = None) -> np.ndarray:
    """(500, 1000) bool: which pixels of a grey image were drawn on."""
    found = np.asarray(draw_objects(Image.new("RGB", SIZE, GREY), objects, camera))
    assert found.shape == (500, 1000, 3)
    different: np.ndarray = (found != GREY).any(axis=2)
    return different


def around(mask: np.ndarray) -> list[int]:
    """x1 y1 x2 y2 of the pixels that are set."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(n) for n in (columns[0], rows[0], columns[-1], rows[-1])]


def test_a_box_is_drawn_on_its_edges_and_not_inside() -> None:
    found = changed([{"box": [100, 200, 300, 600]}])
    assert around(found) == [100, 100, 300, 300]
    assert not found[110:290, 110:290].any()
    assert found[200, 100]
    assert found[100, 200]


def test_a_point_is_drawn_as_a_dot() -> None:
    found = changed([{"point": [500, 500]}])
    x1, y1, x2, y2 = around(found)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == (500, 250)
    assert x2 - x1 < 25


def test_a_polygon_is_shaded_inside_all_its_rings() -> None:
    found = changed([{"polygon": [[100, 100, 300, 100, 300, 500], [600, 600, 700, 600, 700, 900]]}])
    assert found[100, 280]
    assert found[320, 690]
    assert not found[200, 120]
    assert not found[260, 450]


def test_a_cuboid_has_its_front_shaded_or_crossed_and_hidden_edges_faint() -> None:
    camera = [500.0, 500.0, 500.0, 250.0]
    box = [0.0, 0.0, 3.0, 2.0, 1.0, 2.0, 0.0, 0.0, 0.0]  # its front face at z = 2
    found = changed([{"box3d": box}], camera)
    width = 2  # of the lines
    assert around(found) == pytest.approx([250, 125, 750, 375], abs=width)
    assert found[130:370, 260:740].all(), "the front is shaded"
    turned = changed([{"box3d": [*box[:7], np.pi, 0.0]}], camera)
    assert around(turned) == pytest.approx([250, 125, 750, 375], abs=width)
    assert turned[250, 500], "the front, which is behind now, is crossed"
    assert not turned[300, 500], "and not shaded"
    assert not changed([{"box3d": box}]).any(), "no camera"


def test_a_cuboid_partly_behind_the_camera_is_drawn_and_one_fully_behind_is_not() -> None:
    camera = [500.0, 500.0, 500.0, 250.0]
    assert changed([{"box3d": [0, 1.0, 0.0, 1, 1, 10, 0, 0, 0]}], camera).any()
    assert not changed([{"box3d": [0, 1.0, -9, 1, 1, 10, 0, 0, 0], "label": "a"}], camera).any()


def test_edges_of_a_cuboid_around_the_camera_are_not_faint() -> None:
    image = Image.new("RGB", SIZE, GREY)
    cuboid = {"box3d": [0, 0, 0, 4, 4, 9, 0, 0, 0], "label": "room"}
    found = np.asarray(draw_objects(image, [cuboid], [500.0, 500.0, 500.0, 250.0]))
    edge = found[:25, :480]  # above the label
    assert (edge == colours_by_name(["room"])["room"]).all(axis=2).any()


@pytest.mark.parametrize("faint", [False, True])
def test_a_line_to_a_far_point_is_cut_at_the_edge(faint: bool) -> None:
    images = [Image.new("RGB", SIZE, GREY) for _ in range(2)]
    for image, times in zip(images, (1e-6, 1), strict=True):
        end = (500 + 3e9 * times, 250 + 1e9 * times)
        Pen(image).line((500, 250), end, (255, 0, 0), faint)
    near, far = (np.asarray(image) for image in images)
    assert (near != GREY).any()
    assert (near == far).all()


def test_labels_are_within_the_image_and_do_not_overlap() -> None:
    corner = {"box": [0, 0, 50, 50]}
    alone = changed([corner])
    one = changed([{**corner, "label": "label"}]) & ~alone
    three = changed([{**corner, "label": "label"}] * 3) & ~alone
    assert one.sum() > 200
    assert three.sum() > 2.5 * one.sum()
    assert changed([{"box": [950, 950, 999, 999], "label": "at the lower right"}])[480:, 800:].any()


def test_with_many_objects_only_the_first_of_a_label_is_labelled() -> None:
    places = [{"point": [20 * n, 500]} for n in range(MAX_LABELLED)]
    few = changed([{**p, "label": "label"} for p in places]) & ~changed(places)
    more = [*places, {"point": [900, 900]}]
    many = changed([{**p, "label": "label"} for p in more]) & ~changed(more)
    assert 0 < many.sum() * 20 < few.sum()


def test_a_small_image_is_enlarged_and_its_camera_with_it() -> None:
    small = Image.new("RGB", (100, 50), GREY)
    box = [0.0, 0.0, 3.0, 2.0, 1.0, 2.0, 0.0, 0.0, 0.0]
    found = draw_objects(small, [{"box3d": box}], [50.0, 50.0, 50.0, 25.0])
    assert found.size == (960, 480)
    mask = (np.asarray(found) != GREY).any(axis=2)
    assert around(mask) == pytest.approx([240, 120, 720, 360], abs=2)
    assert small.size == (100, 50)


def test_each_label_has_its_own_colour_on_every_image() -> None:
    names = [f"label {n}" for n in range(len(COLOURS))]
    assert sorted(colours_by_name(names).values()) == sorted(COLOURS)
    assert colours_by_name(["label 3"]) == colours_by_name(["label 3", "label 3"])
    first = colours_by_name(["label 3"])["label 3"]
    assert colours_by_name(["label 3", *names])["label 3"] == first
    assert len(colours_by_name([*names, "one more"])) == len(names) + 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_stored_image_is_turned_upright(orientation: int) -> None:
    stored = Image.new("RGB", (3, 2), GREY)
    stored.putpixel((0, 0), (255, 0, 0))
    stored.getexif()[0x0112] = orientation
    shown = ImageOps.exif_transpose(stored)
    found = image_as_shown(stored, orientation)
    assert np.asarray(found).tolist() == np.asarray(shown).tolist()
