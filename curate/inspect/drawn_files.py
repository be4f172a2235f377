"""Draws the objects of records on their images, and writes these images to files."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from curate.inspect.drawing.record_images import annotated_image, image_numbers
from manifests import storage
from manifests.errors import MediaError, RecipeError
from manifests.media import Limits, Media
from manifests.run import manifest
from manifests.run.file_names import STEPS

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
"""A path with one of these endings is a file; any other path is a folder."""


class DrawnFile(NamedTuple):
    """An image of the record `id`, and the path of the file in which the image was drawn. If the
    image could not be drawn, the path is None and `fault` is the reason."""

    id: str
    path: str | None
    fault: str = ""


def draw(out: str, rows: list[dict[str, Any]], where: str, base: str | None) -> list[DrawnFile]:
    """Draw the images of records of the run `out` with their objects. `where` is a folder, or a
    file for a single image. Raises RecipeError if `where` is a file and there are several images.

    Uris in the records are relative to the folder `base`. If `base` is None, they are relative to
    the same folder as in the run.
    """
    wanted = [(row, number) for row in rows for number in image_numbers(row)]
    single = where.lower().endswith(IMAGE_ENDINGS)
    if single and len(wanted) > 1:
        raise RecipeError(
            f"{len(wanted)} images cannot be written to one file",
            where,
            "Name a folder, or only one record with one image.",
        )
    os.makedirs((os.path.dirname(where) or ".") if single else where, exist_ok=True)
    media = open_media(out, base)
    try:
        paths = [where if single else os.path.join(where, _name(*image)) for image in wanted]
        return [_draw_one(*image, path, media) for image, path in zip(wanted, paths, strict=True)]
    finally:
        media.close()


def _draw_one(row: dict[str, Any], number: int, path: str, media: Media) -> DrawnFile:
    try:
        annotated_image(row, number, media).save(path)
    except MediaError as error:
        place = media.resolve(row["media"][number]["uri"])
        return DrawnFile(row["id"], None, f"{place}: {error.fault}")
    return DrawnFile(row["id"], path)


def _name(row: dict[str, Any], number: int) -> str:
    return f"{row['id']}{f'-{number}' if len(row['media']) > 1 else ''}.png"


def open_media(out: str, base: str | None) -> Media:
    """Return an object that opens the images and videos of the run `out`. Relative uris start from
    the folder `base`. If `base` is None, they start from the same folder as in the run."""
    made = manifest.load_run(out)
    limits = Limits.model_validate(made.recipe.get("media", {}))
    return Media(base or made.environment["base"], storage.join(out, STEPS), limits)
