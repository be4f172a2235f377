"""Angles, matrices and corners of 3D boxes agree, and are those of Omni3D and Qwen's cookbook."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.geometry.angles import (
    QWEN3_ANGLES,
    RECORD_ANGLES,
    Angles,
    boxes_from_record,
    boxes_to_record,
    to_radians,
)
from manifests.geometry.cuboid import corners, euler_from_matrix, matrices_from_euler

angle = st.floats(-np.pi, np.pi)
three = st.tuples(angle, angle, angle)


@given(three)
def test_angles_and_matrix_are_the_same_rotation(angles: tuple[float, float, float]) -> None:
    made = matrices_from_euler(np.array([angles]))
    np.testing.assert_allclose(made @ made.transpose(0, 2, 1), [np.eye(3)], atol=1e-12)
    np.testing.assert_allclose(
        matrices_from_euler(euler_from_matrix(made)), made, atol=2e-6
    )  # GIMBAL_LOCK: within a millionth of the pole yaw is 0


@given(angle, st.floats(-1.5, 1.5), angle)
def test_angles_away_from_gimbal_lock_are_recovered(roll: float, pitch: float, yaw: float) -> None:
    found = euler_from_matrix(matrices_from_euler(np.array([[roll, pitch, yaw]])))[0]
    assert found[1] == pytest.approx(pitch, abs=1e-9)
    for a, b in ((found[0], roll), (found[2], yaw)):
        assert np.exp(1j * a) == pytest.approx(np.exp(1j * b), abs=1e-9)


@pytest.mark.parametrize(
    ("angles", "point", "goes_to"),
    [
        ((np.pi / 2, 0, 0), (0, 1, 0), (0, 0, 1)),
        ((0, np.pi / 2, 0), (0, 0, 1), (1, 0, 0)),
        ((0, 0, np.pi / 2), (1, 0, 0), (0, 1, 0)),
        ((np.pi / 2, np.pi / 2, 0), (0, 1, 0), (1, 0, 0)),
        ((np.pi / 2, 0, np.pi / 2), (0, 0, 1), (1, 0, 0)),
    ],
)
def test_roll_is_about_x_first_then_pitch_about_y_then_yaw_about_z(
    angles: tuple[float, ...], point: tuple[float, ...], goes_to: tuple[float, ...]
) -> None:
    turned = matrices_from_euler(np.array([angles]))[0] @ np.array(point)
    np.testing.assert_allclose(turned, goes_to, atol=1e-12)


@pytest.mark.parametrize("pole", [np.pi / 2, -np.pi / 2])
@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_at_gimbal_lock_yaw_is_0_and_the_rotation_is_the_same(pole: float, noise: float) -> None:
    made = matrices_from_euler(np.array([[0.3, pole + noise, 0.7]]))
    found = euler_from_matrix(made)
    assert found[0, 2] == 0.0
    assert found[0, 0] == pytest.approx(-0.4 if pole > 0 else 1.0, abs=1e-6)
    np.testing.assert_allclose(matrices_from_euler(found), made, atol=1e-7)


def test_an_unrotated_box_has_its_corners_in_the_order_of_omni3d() -> None:
    low, high = (-1, -2, 2), (1, 2, 8)
    expected = [
        [x, y, z]
        for z in (low[2], high[2])
        for x, y in ((low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1]))
    ]
    assert corners(np.array([[0, 0, 5, 2, 4, 6, 0, 0, 0]])).tolist() == [expected]


def test_corners_rotate_about_the_centre_of_the_box() -> None:
    box = np.array([[1, 2, 9, 2, 4, 6, 0.3, -0.2, 1.1]])
    found = corners(box)[0]
    np.testing.assert_allclose(found.mean(axis=0), [1, 2, 9])
    np.testing.assert_allclose(np.linalg.norm(found[1] - found[0]), 2)
    np.testing.assert_allclose(np.linalg.norm(found[2] - found[1]), 4)
    np.testing.assert_allclose(np.linalg.norm(found[4] - found[0]), 6)
    turned = matrices_from_euler(box[:, 6:])[0] @ [-1, -2, -3] + box[0, :3]
    np.testing.assert_allclose(found[0], turned)


@given(
    three,
    st.permutations("xyz").map("".join),
    st.sampled_from(["radian", "degree", "half_turn"]),
)
def test_conversion_to_any_axes_and_unit_is_invertible(
    stored: tuple[float, ...], axes: str, unit: str
) -> None:
    angles = Angles.model_validate({"axes": axes, "unit": unit})
    box = np.array([[1, 2, 3, 4, 5, 6, *stored]])
    written = boxes_from_record(box, angles)
    assert written[0, :6].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(boxes_to_record(written, angles), box, atol=1e-12)


def test_angles_follow_the_axes_and_the_unit() -> None:
    degrees = Angles(axes="zyx", unit="degree")
    np.testing.assert_allclose(
        to_radians(np.array([[90, 45, 180]]), degrees), [[np.pi, np.pi / 4, np.pi / 2]]
    )
    np.testing.assert_allclose(
        to_radians(np.array([[0.5, 0, -1]]), QWEN3_ANGLES), [[np.pi / 2, 0, -np.pi]]
    )
    np.testing.assert_allclose(to_radians(np.array([[0.5, 0, -1]]), RECORD_ANGLES), [[0.5, 0, -1]])


def test_a_box_is_rotated_as_qwens_cookbook_does() -> None:
    """The cookbook's code: the last three numbers times 180 degrees, about x, then y, then z."""
    x, y, z = np.deg2rad(np.array([0.1, -0.25, 0.6]) * 180)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    expected = about_z @ about_y @ about_x @ np.array([1.0, 2.0, 3.0]) + [0.5, 0.6, 9]
    box = boxes_to_record(np.array([[0.5, 0.6, 9, 2, 4, 6, 0.1, -0.25, 0.6]]), QWEN3_ANGLES)
    np.testing.assert_allclose(corners(box)[0, 6], expected)
