"""The three angles of a 3D box in files and prompts: the order of the axes, and the unit.

The publications on Qwen3-VL contradict each other. The text of its cookbook on 3D grounding says
`roll, pitch, yaw` in radians. The code of the same cookbook names the three numbers `pitch, yaw,
roll`, multiplies them by 180 and uses them as degrees, so their unit is half turns. The names
differ, but the order is the same: the code rotates about x by the first number, then about y by the
second number, then about z by the third number, as this module does. The units differ (an open
question in the repository's issues 1501 and 2044).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Axes = Literal["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"]
AngleUnit = Literal["radian", "degree", "half_turn"]

_RADIANS = {"radian": 1.0, "degree": np.pi / 180, "half_turn": np.pi}


class Angles(BaseModel):
    """How a text or a file gives three angles: the axis of each angle, and the unit.

    `axes` is only the order of the numbers. The rotations are always about x first, then y, then z.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    axes: Axes = Field("xyz", description="axis of rotation of the first, second and third angle")
    unit: AngleUnit = Field(
        "radian", description="unit of the angles; half_turn: radians divided by pi"
    )

    def __str__(self) -> str:
        return f"{self.axes} {self.unit}"


RECORD_ANGLES = Angles()
"""The convention of a record's `box3d`: roll about x, pitch about y, yaw about z, in radians."""
QWEN3_ANGLES = Angles(unit="half_turn")
"""The convention of Qwen3-VL: the code of its cookbook `3d_grounding` reads the model's answers in
this way to draw the boxes (published). It is the default for rendering, because that code was run
on real answers."""


def to_radians(written: np.ndarray, angles: Angles) -> np.ndarray:
    """Returns (n, 3) float64 roll, pitch, yaw in radians, from (n, 3) angles in the convention
    `angles`.

    `to_radians([[90, 0, 0]], Angles(unit="degree")) -> [[1.5708, 0, 0]]`
    """
    given = np.asarray(written, np.float64).reshape(-1, 3) * _RADIANS[angles.unit]
    return given[:, [angles.axes.index(axis) for axis in "xyz"]]


def from_radians(radians: np.ndarray, angles: Angles) -> np.ndarray:
    """Returns (n, 3) float64 angles in the convention `angles`, not rounded, from (n, 3) roll,
    pitch, yaw in radians.

    `from_radians([[pi / 2, 0, 0]], Angles(unit="half_turn")) -> [[0.5, 0, 0]]`
    """
    given = np.asarray(radians, np.float64).reshape(-1, 3) / _RADIANS[angles.unit]
    return given[:, ["xyz".index(axis) for axis in angles.axes]]


def boxes_to_record(boxes: np.ndarray, angles: Angles) -> np.ndarray:
    """Returns (n, 9) 3D boxes as a record stores them (`box3d`, angles in radians), from (n, 9)
    boxes whose last three numbers are the angles in the convention `angles`."""
    given = np.asarray(boxes, np.float64).reshape(-1, 9)
    return np.concatenate([given[:, :6], to_radians(given[:, 6:], angles)], axis=1)


def boxes_from_record(boxes: np.ndarray, angles: Angles) -> np.ndarray:
    """Returns (n, 9) 3D boxes, from (n, 9) boxes as a record stores them (`box3d`, angles in
    radians). The last three numbers of a returned box are its angles in the convention `angles`,
    not rounded."""
    given = np.asarray(boxes, np.float64).reshape(-1, 9)
    return np.concatenate([given[:, :6], from_radians(given[:, 6:], angles)], axis=1)
