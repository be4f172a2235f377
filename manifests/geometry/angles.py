"""The three angles of a 3D box as files and prompts have them: about which axes, in which unit.

What is published of Qwen3-VL contradicts itself. Its cookbook on 3D grounding says `roll, pitch,
yaw` and radians; its code calls the same three `pitch, yaw, roll`, multiplies them by 180 and
takes degrees, so they are shares of half a turn. The order is a quarrel of names alone: the code
turns about x by the first, about y by the second, about z by the third, in that order, and so do
ours. The unit is a real contradiction (open in the repository's issues 1501 and 2044).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Axes = Literal["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"]
AngleUnit = Literal["radian", "degree", "half_turn"]

_RADIANS = {"radian": 1.0, "degree": np.pi / 180, "half_turn": np.pi}


class Angles(BaseModel):
    """How three angles are written. Whatever the order they are written in, the turn about x is
    done first and that about z last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    axes: Axes = Field("xyz", description="axis that each of the three numbers turns about")
    unit: AngleUnit = Field("radian", description="a half_turn is the angle by pi")

    def __str__(self) -> str:
        return f"{self.axes} {self.unit}"


RECORD_ANGLES = Angles()
"""What a record's `box3d` has: roll about x, pitch about y, yaw about z, in radians."""
QWEN3_ANGLES = Angles(unit="half_turn")
"""What Qwen3-VL answers, if one believes the code that draws its answers (published, cookbook
`3d_grounding`): the default of rendering, since that code was run on them and the text was not."""


def to_radians(written: np.ndarray, angles: Angles) -> np.ndarray:
    """(n, 3) float64 roll pitch yaw in radians, of (n, 3) as they are written."""
    given = np.asarray(written, np.float64).reshape(-1, 3) * _RADIANS[angles.unit]
    return given[:, [angles.axes.index(axis) for axis in "xyz"]]


def from_radians(stored: np.ndarray, angles: Angles) -> np.ndarray:
    """(n, 3) float64 as they are written, of (n, 3) roll pitch yaw in radians; not rounded."""
    found = np.asarray(stored, np.float64).reshape(-1, 3) / _RADIANS[angles.unit]
    return found[:, ["xyz".index(axis) for axis in angles.axes]]


def boxes_to_record(boxes: np.ndarray, angles: Angles) -> np.ndarray:
    """(n, 9) `box3d`, of (n, 9) whose last three are angles as they are written."""
    given = np.asarray(boxes, np.float64).reshape(-1, 9)
    return np.concatenate([given[:, :6], to_radians(given[:, 6:], angles)], axis=1)


def boxes_from_record(boxes: np.ndarray, angles: Angles) -> np.ndarray:
    """(n, 9) with angles as they are written, of (n, 9) `box3d`; not rounded."""
    given = np.asarray(boxes, np.float64).reshape(-1, 9)
    return np.concatenate([given[:, :6], from_radians(given[:, 6:], angles)], axis=1)
