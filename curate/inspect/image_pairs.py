"""Counts the pairs of images of a finished run by the distance of their hashes, and samples some
pairs of each distance. The pairs help the user to choose the settings of the step `duplicates`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.duplicate_images import DuplicateImages
from filters.duplicates.duplicates import Duplicates
from filters.duplicates.kinds.perceptual import BYTES
from filters.image.image_hash import ImageHash
from manifests import record, storage
from manifests.errors import InputError
from manifests.kernels.splitmix64 import splitmix64
from manifests.record import media_lists
from manifests.run import manifest
from manifests.run.file_names import DROPPED, PART
from manifests.run.manifest import PassManifest, RunManifest
from manifests.step import Step
from manifests.storage import parts
from manifests.storage.digest import stated_file

MAX_BITS = 16
"""The largest distance of the pairs that are counted: the largest that `duplicates` accepts."""
MAX_IMAGES = 200_000
"""The largest number of images that are compared with each other (our choice: about a minute). Of
more images, a random sample is compared: those with the lowest random keys."""


class ImageOfRecord(NamedTuple):
    """An image of a record: `media` is the row of the record's column `media` that describes the
    image."""

    id: str
    origin: str
    media: dict[str, Any]


class ImagePair(NamedTuple):
    """Two images; the number of bits in which their hashes differ; and the difference of their
    colours (`gray_levels`). For this difference, both images are reduced to 8 x 8 colours and
    brought to the same brightness and contrast; it is the mean difference of the 4 colours that
    differ most, in levels from 0 to 255."""

    bits: int
    gray_levels: float
    one: ImageOfRecord
    other: ImageOfRecord


class ImagePairs(NamedTuple):
    """How many pairs of images a run has at each distance, and a sample of the pairs.

    `known` is the number of images that have a hash, and `without` the number of images that have
    none, because they have almost no detail. `images` is the number of images with a hash that were
    chosen for the comparison. Of chosen images with the same hashes and colours, only the first was
    compared; `equal` is the number of the others. `pairs[n]` is the number of pairs whose hashes
    differ in n bits, and `alike[n]` the number of these pairs whose colours also differ by at most
    `colour_distance` levels (the field `gray_levels` of ImagePair).
    """

    images: int
    known: int
    without: int
    equal: int
    distance: int
    colour_distance: float
    pairs: list[int]
    alike: list[int]
    sampled: list[ImagePair]


def image_pairs(out: str, each: int, step: str | None) -> ImagePairs:
    """Compare the images of a run with each other, and sample up to `each` pairs of each distance.
    The images of records that the run dropped as duplicates are compared too.

    The result's `distance` and `colour_distance` are the settings of the step named `step` or, if
    `step` is None, of the first step that compares images. If no step compares images, they are the
    defaults of the step `duplicates`. Raises InputError if no step `image_hash` ran.
    """
    from manifests.kernels.look_alike import colour_differences, looks
    from manifests.kernels.near_pairs import near_pairs

    run = manifest.load_run(out)
    folder, made, name = _hashed(run, out)
    distance, colour_distance = _settings(run, out, step)
    known, without, compared = _images(folder, made, name)
    words, colours = _words(compared), _colours(compared)
    distinct = _distinct(words, colours)
    images = looks(np.arange(len(distinct) + 1), words[distinct], colours[distinct])
    found = near_pairs(
        images, np.asarray(compared["key"])[distinct], MAX_BITS, colour_distance, each
    )
    ends = np.concatenate([np.empty((0, 2), np.int64), *found.sampled])
    levels = colour_differences(images, ends[:, 0], ends[:, 1])
    bits = np.repeat(np.arange(MAX_BITS + 1), [len(some) for some in found.sampled])
    return ImagePairs(
        images=compared.num_rows,
        known=known,
        without=without,
        equal=compared.num_rows - len(distinct),
        distance=distance,
        colour_distance=colour_distance,
        pairs=found.pairs.tolist(),
        alike=found.alike.tolist(),
        sampled=_sampled(compared.take(pa.array(distinct[ends.ravel()])), bits, levels),
    )


def _hashed(run: RunManifest, out: str) -> tuple[str, PassManifest, str]:
    """Return the folder and the manifest of the first pass that has a step `image_hash`, and the
    name of this step."""
    for entry in run.passes:
        folder = storage.join(out, entry.folder)
        made = manifest.load_pass_of(out, entry)
        for step in made.steps:
            if step.get("kind") == _kind(ImageHash) and entry.kind == "rows":
                return folder, made, step["name"]
    raise InputError(
        "no step of this run computed hashes of images, so there are no pairs to compare.",
        out,
        "Add `- image_hash` or `- duplicates: {by: perceptual}` to the recipe, and run it again.",
    )


def _settings(run: RunManifest, out: str, name: str | None) -> tuple[int, float]:
    for entry in run.passes:
        for step in manifest.load_pass_of(out, entry).steps:
            if step.get("kind") not in (_kind(Duplicates), _kind(DuplicateImages)):
                continue
            settings = step["parameters"]
            if name in (None, step["name"]) and settings.get("distance") is not None:
                return settings["distance"], settings["colour_distance"]
    usual = DuplicateImages()
    return usual.distance, usual.colour_distance


def _kind(step: type[Step]) -> str:
    return f"{step.__module__}:{step.__qualname__}"


def _images(folder: str, made: PassManifest, name: str) -> tuple[int, int, pa.Table]:
    """Return how many images of the records of a pass have a hash, how many have none, and a table
    with a random sample of the images with a hash: the MAX_IMAGES images with the lowest random
    keys (`_keys`), in the order of their keys.

    A row of the table has the image's record, the number of the image in the record, its entry in
    the column `media`, its hash, the hash of its mirror image, its small colour image (8 x 8
    pixels), and its key. Parts are read one after the other, so memory has at most one part and 2 *
    MAX_IMAGES rows. Raises InputError if the pass stored no small colour images.
    """
    with_hash, without, rows = 0, 0, 0
    chosen: list[pa.Table] = []
    for table in _records(folder, made, name):
        images = _of_records(table)
        hashed = images.filter(images["hash"].is_valid())
        with_hash += hashed.num_rows
        without += images.num_rows - hashed.num_rows
        chosen.append(hashed.append_column("key", pa.array(_keys(hashed))))
        rows += hashed.num_rows
        if rows > 2 * MAX_IMAGES:
            chosen = [_lowest(chosen)]
            rows = chosen[0].num_rows
    if not chosen:
        raise InputError(
            f"the step '{name}' of this run stored no colours: the version of curate was too old.",
            folder,
            "Run the recipe of this run again, with a new output folder.",
        )
    return with_hash, without, _lowest(chosen)


def _lowest(images: list[pa.Table]) -> pa.Table:
    """Return the MAX_IMAGES rows of these tables with the lowest values in the column `key`, in the
    order of their keys. Rows with the same key keep their order."""
    known = pa.concat_tables(images).combine_chunks()
    order = np.argsort(np.asarray(known["key"]), kind="stable")
    return known.take(pa.array(order[:MAX_IMAGES])).combine_chunks()


def _records(folder: str, made: PassManifest, name: str) -> Iterator[pa.Table]:
    columns = ("id", "origin", "media", *(f"{name}.{c}" for c in ("hash", "mirror", "colours")))
    for commit in made.parts:
        for file in filter(None, (commit.file(ending) for ending in (PART, DROPPED))):
            uri = stated_file(folder, file)
            if set(columns) <= set(parts.open_part(uri).schema.names):
                table = parts.read_checked(uri, columns)
                yield table.rename_columns([c.removeprefix(f"{name}.") for c in columns])


def _of_records(table: pa.Table) -> pa.Table:
    offsets, media = media_lists(table["media"])
    rows = np.repeat(np.arange(table.num_rows), np.diff(offsets))
    numbers = np.arange(len(media)) - offsets[rows]
    columns = {
        "id": table["id"].take(rows),
        "origin": table["origin"].take(rows),
        "number": pa.array(numbers),
        "media": media,
        **{column: media_lists(table[column])[1] for column in ("hash", "mirror", "colours")},
    }
    return pa.table(columns).filter(pc.equal(pc.struct_field(media, "kind"), "image"))


def _keys(images: pa.Table) -> np.ndarray:
    """Return a random key (uint64) for each image, a hash of the id of its record and its number in
    the record."""
    ids = record.id_keys(record.one_chunk(images["id"]))
    numbers = np.asarray(images["number"]).astype(np.uint64)
    return splitmix64(ids ^ splitmix64(numbers))


def _words(images: pa.Table) -> np.ndarray:
    return np.stack([np.asarray(images[column]) for column in ("hash", "mirror")], axis=1)


def _colours(images: pa.Table) -> np.ndarray:
    flat = record.one_chunk(images["colours"])
    data = np.frombuffer(flat.buffers()[1] or b"", np.uint8)
    return data[flat.offset * BYTES : (flat.offset + len(flat)) * BYTES].reshape(-1, BYTES)


def _distinct(words: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return the positions of the images to compare: of all images with the same hashes (`words`)
    and the same colours, only the first."""
    both = np.concatenate([words.view(np.uint8).reshape(-1, 16), colours], axis=1)
    whole = np.ascontiguousarray(both).view(f"V{both.shape[1]}").ravel()
    _, first = np.unique(whole, return_index=True)
    return np.sort(first)


def _sampled(rows: pa.Table, bits: np.ndarray, levels: np.ndarray) -> list[ImagePair]:
    """Return the sampled pairs. `rows` has the two images of each pair, one after the other, and
    `bits` and `levels` have the two distances of each pair."""
    columns = (rows[name].to_pylist() for name in ("id", "origin", "media"))
    shown = [ImageOfRecord(*values) for values in zip(*columns, strict=True)]
    pairs = zip(bits.tolist(), levels.tolist(), shown[::2], shown[1::2], strict=True)
    return [ImagePair(*pair) for pair in pairs]
