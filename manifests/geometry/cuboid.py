"""Cuboids: nine numbers and the eight corners they mean, rotations as angles and as matrices.

The nine are those of a record's `box3d`: centre xyz and size xyz in metres, roll pitch yaw in
radians. Centres are on the camera's axes, x right, y down, z forward (documented for Omni3D,
DATA.md); sizes are along the box's own axes, which are the camera's where it is not turned.
"""

from __future__ import annotations

import numpy as np

LOCKED = 1e-6
"""Cosine of the pitch below which roll and yaw turn about one axis (ours: float32's noise)."""

SIGNS = np.array(
    [[x, y, z] for z in (-1, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))], np.float64
)
"""(8, 3) the corners on the box's own axes: around the face of least z, then that of most; the
order of Omni3D's `bbox3D_cam` (documented, DATA.md)."""


def matrices_from_euler(angles: np.ndarray) -> np.ndarray:
    """(n, 3, 3) float64 of (n, 3) roll pitch yaw: Rz(yaw) Ry(pitch) Rx(roll), roll done first."""
    roll, pitch, yaw = np.asarray(angles, np.float64).reshape(-1, 3).T
    (sr, cr), (sp, cp), (sy, cy) = ((np.sin(a), np.cos(a)) for a in (roll, pitch, yaw))
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def euler_from_matrix(matrices: np.ndarray) -> np.ndarray:
    """(n, 3) float64 roll pitch yaw in radians, of (n, 3, 3) rotations.

    Roll and yaw are in (-pi, pi], pitch in [-pi/2, pi/2]; where the pitch is a quarter turn the
    two others are one rotation, and yaw is 0. The roll is what is left after yaw and pitch, so
    the angles make the matrix again there too.
    """
    r = np.moveaxis(np.asarray(matrices, np.float64).reshape(-1, 3, 3), 0, 2)
    cosine = np.hypot(r[0, 0], r[1, 0])
    pitch = np.arctan2(-r[2, 0], cosine)
    yaw = np.where(cosine < LOCKED, 0.0, np.arctan2(r[1, 0], r[0, 0]))
    s, c = np.sin(yaw), np.cos(yaw)
    roll = np.arctan2(s * r[0, 2] - c * r[1, 2], c * r[1, 1] - s * r[0, 1])
    return np.stack([roll, pitch, yaw], axis=1)


def corners(boxes: np.ndarray) -> np.ndarray:
    """(n, 8, 3) float64 metres, of (n, 9) `box3d`, in the order of `SIGNS`."""
    found = np.asarray(boxes, np.float64).reshape(-1, 9)
    centre, halves = found[:, :3].T, found[:, 3:6].T / 2
    axes = np.moveaxis(matrices_from_euler(found[:, 6:]), 0, 2) * halves  # (3, 3, n)
    planes = np.repeat(centre[:, None], 8, axis=1)  # (3, 8, n): whole columns, 10 times as fast
    for own, signs in enumerate(SIGNS.T):
        planes += axes[:, own, None] * signs[:, None]
    return planes.transpose(2, 1, 0)
