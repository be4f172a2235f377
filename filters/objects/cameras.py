"""Cameras given to images: from a file, or assumed."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests import storage
from manifests.geometry.camera import (
    FIELD_OF_VIEW,
    assumed_cameras,
    image_cameras,
    rescale_cameras,
    with_cameras,
)
from manifests.geometry.camera_file import cameras_by_uri, read_cameras
from manifests.media import Media
from manifests.record import media_lists
from manifests.step import Outcome, RowStep, reasons

ASPECT_TOLERANCE = 0.02
"""Sizes whose aspects differ by more are not of one image (ours: pixels are whole)."""


class Cameras(RowStep):
    """Give images the camera that took them, from a file, or one of a usual field of view.

    `path` is a JSON object of cameras by image, as the cookbook of Qwen3-VL has it in
    `cam_infos.json`: `{"NAME": {"fx": ..., "fy": ..., "cx": ..., "cy": ...}}` in pixels of the
    image as it is shown; NAME is the image's uri, or the last part of it. With `width` and
    `height` beside, the numbers are of the image at that size, and are scaled. An image that
    has a camera already keeps it, unless the file names it and `replace` is set.

    Images left without one get a camera of `field_of_view` degrees in both directions whose
    centre is the image's, and are counted in `assumed`; with `field_of_view: null` they stay
    without, and are counted in `unknown`.

    Quarantined are records with an image of unknown size that would get a camera, and those whose
    camera is of the image at another size: its centre is far from the image's
    (`max_off_centre`). The cookbook's own file has such a one (`manipulation.jpg`, 640 x 480, with
    its centre at 512, 384): say the size in the file.

    Source: Qwen3-VL, cookbook on 3D grounding (60 degrees, where a camera is unknown).
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        name: pa.int32() for name in ("given", "assumed", "unknown")
    }
    rewrites: ClassVar[tuple[str, ...]] = ("media",)

    path: str | None = Field(None, description="the JSON file of cameras; null: assume them all")
    field_of_view: float | None = Field(
        FIELD_OF_VIEW, gt=0, lt=180, description="degrees; null: leave them without a camera"
    )
    replace: bool = Field(False, description="the file overrules a camera that is there already")
    max_off_centre: float | None = Field(
        0.25,
        gt=0,
        description="from a camera's centre to the image's at most, as a share of each side "
        "(ours: a quarter of an image cropped away); null: no check",
    )

    def files(self, base: str) -> tuple[str, ...]:
        return () if self.path is None else (storage.resolve(base, self.path),)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        offsets, flat = media_lists(batch["media"])
        records = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        cameras, sizes = image_cameras(batch["media"])
        known = ~np.isnan(cameras).any(axis=1)
        image = np.asarray(pc.equal(pc.struct_field(flat, "kind"), "image").fill_null(False))
        given = self._in_file(flat, media, image & (~known | self.replace))
        named = ~np.isnan(given[:, 0])
        of = np.where(np.isnan(given[:, 4:]), sizes, given[:, 4:])
        made = rescale_cameras(given[:, :4], of, sizes)
        left, view = image & ~known & ~named, self.field_of_view
        if view is not None:
            made[left] = assumed_cameras(sizes[left], view)
        counted = {"given": named, "assumed": left & bool(view), "unknown": left & (view is None)}
        faults = self._faults(made, of, sizes, named)
        faults["an image of unknown size"] = (named | counted["assumed"]) & np.isnan(made[:, 0])
        error = reasons(
            batch.num_rows, *((_has(mask, records, batch), fault) for fault, mask in faults.items())
        )
        columns: dict[str, pa.Array] = {"media": with_cameras(batch["media"], made)}
        for name, mask in counted.items():
            count = np.bincount(records[mask], minlength=batch.num_rows).astype(np.int32)
            columns[name] = pc.if_else(error.is_valid(), None, pa.array(count))
        return Outcome(columns, None, error)

    def _in_file(self, flat: pa.Array, media: Media, asked: np.ndarray) -> np.ndarray:
        """(n, 6) fx fy cx cy width height, nan where the file does not say it."""
        found = np.full((len(flat), 6), np.nan)
        if self.path is not None:
            # One name at a time: a dictionary is asked.
            uris = pc.struct_field(flat, "uri").filter(pa.array(asked)).to_pylist()
            found[asked] = cameras_by_uri(uris, read_cameras(media.resolve(self.path)))
        return found

    def _faults(
        self, made: np.ndarray, of: np.ndarray, sizes: np.ndarray, named: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Cameras of the file that are not of their image, by why."""
        aspect = (of[:, 0] / of[:, 1]) / (sizes[:, 0] / sizes[:, 1])
        off = np.abs(made[:, 2:] / sizes - 0.5).max(axis=1, initial=0.0)
        limit = np.inf if self.max_off_centre is None else self.max_off_centre
        return {
            "a camera of an image of another shape": named & (abs(aspect - 1) > ASPECT_TOLERANCE),
            "a camera with its centre far from the image's: say `width` and `height` of the "
            "image that it is of": named & (off > limit),
        }


def _has(mask: np.ndarray, records: np.ndarray, batch: pa.Table) -> np.ndarray:
    """Which records have one of the media in `mask`."""
    found: np.ndarray = np.bincount(records[mask], minlength=batch.num_rows) > 0
    return found
