"""Folders of images, each with its caption in a file of the same name beside it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import ClassVar, NamedTuple

import xxhash
from pydantic import Field

from curate.ingest.captions.records.samples import (
    CAPTION_NAMES,
    Description,
    Samples,
    check_sidecar,
    describe,
    with_suffix,
)
from curate.ingest.columns import Names
from curate.ingest.images import OpenedImage, check_size
from curate.ingest.reader import BATCH_ROWS, Context, Failure, Head, ReadBatch, Reader, Split
from manifests.errors import MediaError, RowError
from manifests.media import Reference
from manifests.media.header import SUFFIXES, is_image
from manifests.storage import File

GROUP_STEMS = 2000
"""Images that one task reads, on average (ours: seconds of work, and few parts to a million)."""
SIDECARS = ("txt", "json")


class Folder(Reader):
    """Folders of images, each with `NAME.txt` or `NAME.json` beside it, or with neither.

    img2dataset writes this with `output_format: files`. Folders are walked whole. An image's
    caption is what `caption` finds, and null where it finds none; the other fields of `NAME.json`
    go to `meta`. Two images of one name (`a.jpg`, `a.png`) are two records with one caption. A
    record's key is the image's path below the source.

    Quarantined, one by one: images without a readable header or over a limit, or whose caption
    is not UTF-8, or whose JSON does not parse; `.txt` and `.json` files beside no image. Left
    alone: hidden files, files of any other kind, and the `_stats.json` that img2dataset writes.
    """

    suffixes: ClassVar[tuple[str, ...]] = tuple(f".{s}" for s in (*sorted(SUFFIXES), *SIDECARS))

    caption: Names = Field(
        CAPTION_NAMES,
        description="where the caption is, in order: each `txt` or a field of NAME.json; the "
        "first that says anything counts",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return is_image(head.data)

    def grouped(self, files: list[File]) -> list[list[File]]:
        """Some 2000 names a group. A hash of the name says whether a group starts with it, so that
        a file that comes or goes changes its own group and no other."""
        groups: list[list[File]] = []
        for stem, members in groupby(sorted(files, key=_order), lambda file: _stem(file.name)):
            if not groups or xxhash.xxh3_64_intdigest(stem.encode()) % GROUP_STEMS == 0:
                groups.append([])
            groups[-1].extend(members)
        return [_images_first(group) for group in groups]

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        gathered, failures = Samples(self.name), list[Failure]()
        for _, members in groupby(split.files, lambda file: _stem(file.name)):
            for found in _beside(list(members), self.caption, context):
                if isinstance(found, _Opened):
                    file, said, image = found
                    gathered.add(file.name, file.uri, said, [image])
                else:
                    failures.append(found)
            if gathered.is_full or len(failures) >= BATCH_ROWS:
                yield ReadBatch(gathered.records(), failures)
                gathered, failures = Samples(self.name), []
        yield ReadBatch(gathered.records(), failures)


class _Opened(NamedTuple):
    """An image file that opens, and what is said of it."""

    file: File
    said: Description
    image: OpenedImage


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _order(file: File) -> tuple[str, bool, str]:
    """By stem, images first."""
    return _stem(file.name), _suffix(file.name) in SIDECARS, file.name


def _images_first(group: list[File]) -> list[File]:
    """Names that have an image, then stray ones: a source is known by the first file it gives."""
    imaged = {_stem(file.name) for file in group if _suffix(file.name) not in SIDECARS}
    return sorted(group, key=lambda file: _stem(file.name) not in imaged)


def _beside(
    members: list[File], caption: tuple[str, ...], context: Context
) -> Iterator[_Opened | Failure]:
    """The images among files of one stem, each with what the others say; or what is wrong."""
    images = [file for file in members if _suffix(file.name) not in SIDECARS]
    sidecars = [file for file in members if _suffix(file.name) in SIDECARS]
    if not images:
        yield from (_lonely(f) for f in sidecars if not f.name.endswith("_stats.json"))
        return
    said = _read(sidecars, caption, context)
    for file in images:
        try:
            if isinstance(said, RowError):
                raise said
            yield _Opened(file, said, _image(file, context))
        except RowError as error:
            yield Failure.of(file.name, file.uri, error)


def _lonely(sidecar: File) -> Failure:
    fault = f"no image is beside {sidecar.name!r}."
    fix = f"Put {_stem(sidecar.name)}.jpg, .png or the like there, or take it away."
    return Failure.of(sidecar.name, sidecar.uri, RowError(fault, "", fix))


def _read(
    sidecars: list[File], caption: tuple[str, ...], context: Context
) -> Description | RowError:
    found = {}
    try:
        for file in sidecars:
            check_sidecar(_suffix(file.name), file.size)
            found[_suffix(file.name)] = context.media.read(Reference(file.uri))
        return describe(found, caption)
    except RowError as error:
        return error


def _image(file: File, context: Context) -> OpenedImage:
    reference = Reference(file.uri, None, file.size)
    try:
        check_size(file.size, context.limits)
        return OpenedImage(reference, context.media.header(reference))
    except MediaError as error:
        raise with_suffix(_suffix(file.name), error) from None
