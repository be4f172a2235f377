"""Projected cuboids contain the projections of all points of their surface."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.geometry.cuboid import corners, matrices_from_euler
from manifests.geometry.projection import (
    NEAR,
    clip_to_image,
    pixels_to_units,
    project_cuboids,
    project_points,
    projected_boxes,
)

CAMERA = np.array([[500.0, 450.0, 320.0, 240.0]])
angle = st.floats(-3, 3)
size = st.floats(0.2, 4)
place = st.floats(-5, 5)


def brute(box: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """x1 y1 x2 y2 around 60 x 60 points of each of the six faces, in front of the camera."""
    steps = np.linspace(-0.5, 0.5, 60)
    places = []
    for axis in range(3):
        for side in (-0.5, 0.5):
            u, v = np.meshgrid(steps, steps)
            face = np.stack([np.full_like(u, side), u, v], axis=-1).reshape(-1, 3)
            places.append(np.roll(face, axis, axis=1))
    own = np.concatenate(places) * box[3:6]
    seen = own @ matrices_from_euler(box[None, 6:])[0].T + box[:3]
    seen = seen[seen[:, 2] >= NEAR]
    pixels = seen[:, :2] / seen[:, 2:] * camera[:2] + camera[2:]
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


@settings(max_examples=60)
@given(st.tuples(place, place, st.floats(6, 40), size, size, size, angle, angle, angle))
def test_a_box_in_front_is_where_brute_force_projects_it(numbers: tuple[float, ...]) -> None:
    box = np.array([numbers])
    found = project_cuboids(corners(box), CAMERA)
    assert not found.cut[0]
    np.testing.assert_allclose(projected_boxes(corners(box), CAMERA), found.boxes, rtol=1e-12)
    np.testing.assert_allclose(found.boxes[0], brute(box[0], CAMERA[0]), atol=1e-6)
    ends = project_points(corners(box), CAMERA)[0]
    assert sorted(map(tuple, np.unique(found.edges[0].reshape(-1, 2).round(6), axis=0))) == sorted(
        map(tuple, np.unique(ends.round(6), axis=0))
    )


def test_a_box_partly_behind_the_camera_is_cut_at_the_near_plane() -> None:
    box = np.array([[0.0, 1.5, 2.0, 1.0, 1.0, 6.0, 0.0, 0.0, 0.0]])  # from z -1 to 5
    found = project_cuboids(corners(box), CAMERA)
    assert found.cut[0]
    far = 500 * 0.5 / 5
    near = 500 * 0.5 / NEAR
    assert found.boxes[0] == pytest.approx(
        [320 - near, 240 + 450 * 1.0 / 5, 320 + near, 240 + 450 * 2.0 / NEAR]
    )
    assert np.isnan(found.edges[0, :4]).all(), "the front face is behind"
    assert found.edges[0, 4, :, 0] == pytest.approx([320 - far, 320 + far])
    units = pixels_to_units(found.boxes, np.array([[640, 480]]))
    assert clip_to_image(units)[0] == pytest.approx([0, 1000 * (240 + 90) / 480, 1000, 1000])


@settings(max_examples=60)
@given(st.tuples(place, place, st.floats(-3, 3), size, size, size, angle, angle, angle))
def test_a_box_around_the_camera_contains_all_points_of_brute_force(
    numbers: tuple[float, ...],
) -> None:
    box = np.array([numbers])
    found = project_cuboids(corners(box), CAMERA)
    depth = corners(box)[0, :, 2]
    if depth.max() < NEAR:
        assert np.isnan(found.boxes).all()
        return
    assert found.cut[0] == (depth.min() < NEAR)
    seen = brute(box[0], CAMERA[0]) if depth.max() > NEAR + 0.2 else found.boxes[0]
    np.testing.assert_allclose(projected_boxes(corners(box), CAMERA), found.boxes, rtol=1e-12)
    slack = 1e-6 * (1 + abs(found.boxes[0]))
    assert (found.boxes[0, :2] <= seen[:2] + slack[:2]).all()
    assert (found.boxes[0, 2:] >= seen[2:] - slack[2:]).all()


def test_corners_nearer_than_the_near_plane_are_cut() -> None:
    box = np.array([[0.0, 0.5, 1.0 + NEAR / 2, 1.0, 0.5, 2.0, 0.0, 0.0, 0.0]])
    assert corners(box)[0, 0, 2] == pytest.approx(NEAR / 2)
    near = 500 * 0.5 / NEAR
    for found in (
        projected_boxes(corners(box), CAMERA),
        project_cuboids(corners(box), CAMERA).boxes,
    ):
        assert found[0, [0, 2]] == pytest.approx([320 - near, 320 + near])


def test_boxes_behind_the_camera_or_beside_the_image_are_not_on_it() -> None:
    boxes = np.array([[0, 0, -5, 1, 1, 1, 0, 0, 0], [50, 0, 5, 1, 1, 1, 0, 0, 0.0]])
    found = project_cuboids(corners(boxes), CAMERA.repeat(2, axis=0))
    assert np.isnan(found.boxes[0]).all()
    assert np.isfinite(found.boxes[1]).all()
    assert np.isnan(clip_to_image(pixels_to_units(found.boxes, np.array([[640, 480]] * 2)))).all()


def test_faces_that_the_camera_sees() -> None:
    below, turned_round, around_the_camera = (
        [0, 3, 5, 1, 1, 1, 0, 0, 0],
        [0, 0, 5, 1, 1, 1, 0, np.pi, 0],
        [0, 0, 0, 1, 1, 1, 0, 0, 0],
    )
    box = np.array([below, turned_round, around_the_camera])
    front, back, top = 0, 1, 4
    found = project_cuboids(corners(box), CAMERA.repeat(3, axis=0)).facing
    assert [np.flatnonzero(row).tolist() for row in found] == [[front, top], [back], []]


def test_an_empty_batch_has_empty_projections() -> None:
    found = project_cuboids(corners(np.empty((0, 9))), np.empty((0, 4)))
    assert [part.shape for part in found] == [(0, 12, 2, 2), (0, 4), (0,), (0, 6)]


def test_pixels_become_thousandths_of_their_own_image() -> None:
    sizes = np.array([[200, 100], [1000, 500]])
    assert pixels_to_units(np.array([[[20.0, 20.0]], [[20.0, 20.0]]]), sizes).tolist() == [
        [[100, 200]],
        [[20, 40]],
    ]
    assert pixels_to_units(np.array([[20.0, 20, 40, 40]] * 2), sizes).tolist() == [
        [100, 200, 200, 400],
        [20, 40, 40, 80],
    ]
