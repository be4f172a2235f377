"""The step `cameras`: gives images a camera from a file, or an assumed camera."""

from __future__ import annotations

from typing import Annotated, ClassVar

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
from manifests.step import Columns, Context, Location, Measured, RowErrors, RowStep, reasons

ASPECT_TOLERANCE = 0.02
"""The aspect ratios of two sizes of one image may differ by this much, because sizes are rounded to
whole pixels (our choice)."""


class Cameras(RowStep):
    """Give images a camera: from a file, or assumed from a usual field of view.

    `path` is a JSON object of cameras by image, in the form of `cam_infos.json` of Qwen3-VL's
    cookbook: `{"NAME": {"fx": ..., "fy": ..., "cx": ..., "cy": ...}}`, in pixels of the image as
    shown. NAME is the image's uri, or the last part of it. If an entry also has `width` and
    `height`, its numbers are for the image at that size, and are scaled to the present size. An
    image that already has a camera keeps it, unless the file has a camera for the image and
    `replace` is set.

    An image that is still without a camera gets an assumed one: `field_of_view` degrees in both
    directions, with its centre in the image's centre. With `field_of_view: null` it gets no camera.
    The measures count the images of a record: `given` (a camera from the file), `assumed` (an
    assumed camera) and `unknown` (no camera). They do not count an image that keeps its camera.

    A record is quarantined if an image that should get a camera has an unknown size, or if a camera
    from the file seems to be for another size: its centre is too far from the image's centre
    (`max_off_centre`), or its `width` and `height` have another aspect ratio than the image. The
    cookbook's own file has such an entry (`manipulation.jpg`, 640 x 480, with its centre at 512,
    384); in such a case, add the size to the file.

    Source: Qwen3-VL, cookbook on 3D grounding (60 degrees if the camera is unknown).
    """

    rewrites: ClassVar[tuple[str, ...]] = ("media",)

    path: Annotated[str | None, Location()] = Field(
        None, description="JSON file with the cameras of images; null: no cameras from a file"
    )
    field_of_view: float | None = Field(
        FIELD_OF_VIEW, gt=0, lt=180, description="degrees of an assumed camera; null: assume none"
    )
    replace: bool = Field(False, description="the file replaces cameras that images already have")
    max_off_centre: float | None = Field(
        0.25,
        gt=0,
        description="largest distance between the centres of camera and image, as a share of "
        "each side (our choice: a quarter of an image cropped away); null: no check",
    )

    def files(self, base: str) -> tuple[str, ...]:
        return () if self.path is None else (storage.resolve(base, self.path),)

    def reads(self) -> tuple[str, ...]:
        return ("media",)

    def measures(self) -> dict[str, pa.DataType]:
        return dict.fromkeys(("given", "assumed", "unknown"), pa.int32())

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        offsets, flat = media_lists(batch["media"])
        records = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
        cameras, sizes = image_cameras(batch["media"])
        known = ~np.isnan(cameras).any(axis=1)
        is_image = np.asarray(pc.equal(pc.struct_field(flat, "kind"), "image").fill_null(False))
        entries = self._file_entries(flat, context.media, is_image & (~known | self.replace))
        given = ~np.isnan(entries[:, 0])
        camera_sizes = np.where(np.isnan(entries[:, 4:]), sizes, entries[:, 4:])
        new = rescale_cameras(entries[:, :4], camera_sizes, sizes)
        left, view = is_image & ~known & ~given, self.field_of_view
        if view is not None:
            new[left] = assumed_cameras(sizes[left], view)
        counted = {"given": given, "assumed": left & bool(view), "unknown": left & (view is None)}
        faults = self._faults(new, camera_sizes, sizes, given)
        no_size = np.isnan(new[:, 0])
        faults["an image has an unknown size: read the source with its image files"] = (
            given | counted["assumed"]
        ) & no_size
        error = reasons(
            batch.num_rows,
            *((_has_any(mask, records, batch), fault) for fault, mask in faults.items()),
        )
        columns: Columns = {"media": with_cameras(batch["media"], new)}
        for name, mask in counted.items():
            count = np.bincount(records[mask], minlength=batch.num_rows).astype(np.int32)
            columns[name] = pc.if_else(error.is_valid(), None, pa.array(count))
        return Measured(columns, RowErrors.where(error.to_pylist()))

    def _file_entries(self, flat: pa.Array, media: Media, wanted: np.ndarray) -> np.ndarray:
        """Returns the entry that the file has for each image or video, (media, 6): fx, fy, cx, cy,
        width and height. The row of an image is nan if the file has no entry for the image, or if
        the mask `wanted` is false for the image."""
        entries = np.full((len(flat), 6), np.nan)
        if self.path is not None:
            # One image at a time, since each is looked up in a dict.
            uris = pc.struct_field(flat, "uri").filter(pa.array(wanted)).to_pylist()
            entries[wanted] = cameras_by_uri(uris, read_cameras(media.resolve(self.path)))
        return entries

    def _faults(
        self, cameras: np.ndarray, camera_sizes: np.ndarray, sizes: np.ndarray, given: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns a dict from each error text to the mask (media,) of the images whose camera has
        this error. `sizes` are the sizes of the images, `camera_sizes` the sizes for which the file
        gives the cameras, and `given` is the mask of the images whose camera is from the file."""
        camera_aspect = camera_sizes[:, 0] / camera_sizes[:, 1]
        aspect = camera_aspect / (sizes[:, 0] / sizes[:, 1])
        off_centre = np.abs(cameras[:, 2:] / sizes - 0.5).max(axis=1, initial=0.0)
        limit = np.inf if self.max_off_centre is None else self.max_off_centre
        return {
            "the camera's `width` and `height` have another aspect ratio than the image: correct "
            "them in the file": given & (abs(aspect - 1) > ASPECT_TOLERANCE),
            "the camera's centre is too far from the image's centre: add or correct the `width` "
            "and `height` of the camera's image in the file, or raise max_off_centre": given
            & (off_centre > limit),
        }


def _has_any(mask: np.ndarray, records: np.ndarray, batch: pa.Table) -> np.ndarray:
    """Returns a mask of the records that have at least one image for which `mask` is true.
    records[i] is the row in `batch` of the record that has image i."""
    found: np.ndarray = np.bincount(records[mask], minlength=batch.num_rows) > 0
    return found
