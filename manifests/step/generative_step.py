"""The base class of steps that ask a generative model for texts about each record."""

from __future__ import annotations

from typing import Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from manifests.step.request_step import IMAGE_PIXELS, RequestStep


class GenerativeStep(RequestStep):
    """A request step whose model generates texts: it has settings for the sampling of the model,
    and for the size of images. The default values of the settings are our choice."""

    max_pixels: PositiveInt = Field(
        IMAGE_PIXELS,
        description="width x height of an image as it is sent; larger images are resized",
    )
    temperature: NonNegativeFloat | None = Field(
        0.6, description="sampling temperature; null: that of the endpoint"
    )
    max_tokens: PositiveInt | None = Field(
        1024, description="most tokens of a reply; null: as many as the endpoint allows"
    )
    seed: NonNegativeInt | None = Field(
        0,
        description="seed of the model's sampling; after a bad reply, the next seed is sent; null: "
        "no seed is sent",
    )

    def sampling(self, bad_before: int) -> dict[str, Any]:
        own = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": None if self.seed is None else self.seed + bad_before,
        }
        return {name: value for name, value in own.items() if value is not None}

    def image_pixels(self) -> int:
        return self.max_pixels
