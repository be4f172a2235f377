"""3D boxes: computes eight corners from nine numbers, and converts angles to matrices and back.

The nine numbers are a record's `box3d`: centre x y z and size x y z in metres, then roll,
pitch, yaw in radians. The centre is in the camera's coordinates, x right, y down, z forward
(documented for Omni3D, DATA.md). The sizes are along the box's own axes, which are parallel to the
camera's axes if all angles are 0.
"""

from __future__ import annotations

import numpy as np

GIMBAL_LOCK = 1e-6
"""If the cosine of the pitch is below this, roll and yaw count as rotations about the same axis
(our choice: above the rounding errors of float32)."""

SIGNS = np.array(
    [[x, y, z] for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))], np.float64
)
"""(8, 3) directions of the corners along the box's own axes: around the face at -z, then around
the face at +z. This is the order of Omni3D's `bbox3D_cam` (documented, DATA.md)."""


def matrices_from_euler(angles: np.ndarray) -> np.ndarray:
    """Returns (n, 3, 3) float64 rotation matrices Rz(yaw) Ry(pitch) Rx(roll), from (n, 3) roll,
    pitch, yaw in radians.

    The matrices apply the roll first.
    """
    roll, pitch, yaw = np.asarray(angles, np.float64).reshape(-1, 3).T
    (sr, cr), (sp, cp), (sy, cy) = ((np.sin(a), np.cos(a)) for a in (roll, pitch, yaw))
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def euler_from_matrix(matrices: np.ndarray) -> np.ndarray:
    """Returns (n, 3) float64 roll, pitch, yaw in radians, from (n, 3, 3) rotation matrices.

    Roll and yaw are in (-pi, pi], pitch is in [-pi/2, pi/2]. At a pitch of a quarter turn (gimbal
    lock), roll and yaw are rotations about the same axis. Then yaw is set to 0, and roll is the
    whole rotation about this axis. `matrices_from_euler` converts the returned angles to the same
    matrices again.
    """
    r = np.moveaxis(np.asarray(matrices, np.float64).reshape(-1, 3, 3), 0, 2)
    cosine = np.hypot(r[0, 0], r[1, 0])
    pitch = np.arctan2(-r[2, 0], cosine)
    yaw = np.where(cosine < GIMBAL_LOCK, 0.0, np.arctan2(r[1, 0], r[0, 0]))
    s, c = np.sin(yaw), np.cos(yaw)
    roll = np.arctan2(s * r[0, 2] - c * r[1, 2], c * r[1, 1] - s * r[0, 1])
    return np.stack([roll, pitch, yaw], axis=1)


def corners(boxes: np.ndarray) -> np.ndarray:
    """Returns (n, 8, 3) float64: the corners of n 3D boxes in metres, from (n, 9) `box3d`. The
    corners of a box are in the order of `SIGNS`.

    `corners([[0, 0, 5, 2, 2, 2, 0, 0, 0]])[0, 0] -> [-1, -1, 4]`
    """
    numbers = np.asarray(boxes, np.float64).reshape(-1, 9)
    centre, halves = numbers[:, :3].T, numbers[:, 3:6].T / 2
    axes = np.moveaxis(matrices_from_euler(numbers[:, 6:]), 0, 2) * halves  # (3, 3, n)
    planes = np.repeat(centre[:, None], 8, axis=1)  # (3, 8, n): whole columns, 10 times as fast
    for own, signs in enumerate(SIGNS.T):
        planes += axes[:, own, None] * signs[:, None]
    return planes.transpose(2, 1, 0)
