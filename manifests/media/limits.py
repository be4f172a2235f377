"""Limits of media files: the section `media:` of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator

from manifests.setting_values import Bytes, plain_number


class Limits(BaseModel):
    """Limits of media files and of rows of text. A file or row over a limit is
    quarantined without being decoded. Sizes are bytes, or texts such as `512MB` or `64MiB`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    _plain_numbers = field_validator("*", mode="before")(plain_number)

    max_pixels: PositiveInt = Field(
        89_478_485,
        description="largest width x height of an image; a worker needs up to 10 bytes of memory "
        "for each pixel. Above the default, Pillow warns of a decompression bomb",
    )
    max_bytes: Bytes = Field(256 << 20, description="largest size of a media file, in bytes")
    max_frames: PositiveInt = Field(
        1000, description="largest number of frames of an animated image"
    )
    max_sidecar_bytes: Bytes = Field(
        16 << 20,
        description="largest text or JSON file that describes one image beside it, in bytes",
    )
    max_row_bytes: Bytes = Field(
        64 << 20, description="largest row, line or field of a text file, in bytes"
    )
