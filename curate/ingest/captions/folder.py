"""Reads folders of images. Each image has its caption in a file of the same name beside it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import ClassVar, NamedTuple

import xxhash
from pydantic import Field

from curate.ingest.captions.records.samples import Samples
from curate.ingest.captions.records.sidecars import (
    CAPTION_NAMES,
    Description,
    check_sidecar_size,
    describe,
    with_suffix,
)
from curate.ingest.images import OpenedImage, check_size
from curate.ingest.reader import (
    BATCH_ROWS,
    Context,
    Count,
    Failure,
    Head,
    ReadBatch,
    Reader,
    Split,
    count_files,
)
from manifests.errors import MediaError, RowError
from manifests.media import Reference
from manifests.media.header import SUFFIXES, is_image
from manifests.setting_values import Names
from manifests.storage import File

GROUP_STEMS = 2000
"""Average number of images that one task reads (our choice: a task takes seconds, and a million
images make 500 parts)."""
SIDECARS = ("txt", "json")
_STATISTICS = "_stats.json"
"""The end of the name of the statistics that img2dataset writes beside each of its shards."""


class Folder(Reader):
    """Folders of images, each with a caption file `NAME.txt` or `NAME.json` beside it, or without
    one.

        photos/a.jpg   photos/a.txt: "A cat on a sofa."
        photos/b.png   photos/b.json: {"caption": "A dog.", "license": "CC0"}

    img2dataset writes this layout with `output_format: files`. Subfolders are read too. The setting
    `caption` names the suffix of the caption's file or the JSON field of the caption; an image
    without a caption becomes a record without text. The other fields of `NAME.json` go to `meta`.
    Two images with the same name (`a.jpg`, `a.png`) become two records with the same caption. A
    record's key is the image's path, relative to the folder of the source.

    An image is quarantined if its header cannot be read, if it is over a limit, if its caption is
    not UTF-8, or if its JSON does not parse. A `.txt` or `.json` file without an image is
    quarantined too. Files of other types, and the `_stats.json` files of img2dataset, are left
    aside: they are counted, but become neither records nor errors.
    """

    version: ClassVar[int] = 3
    suffixes: ClassVar[tuple[str, ...]] = tuple(f".{s}" for s in (*sorted(SUFFIXES), *SIDECARS))

    caption: Names = Field(
        CAPTION_NAMES,
        description="where to find the caption, in order of preference: `txt` means the file "
        "NAME.txt, any other name a field of NAME.json; the first text that is "
        "not blank is used",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return is_image(head.data)

    def groups(self, files: list[File]) -> list[list[File]]:
        """Groups the files; one task reads one group. A group has about 2000 different file names
        (without suffix). A hash of a file name decides whether the name is the first of a group, so
        adding or removing a file changes at most two groups."""
        groups: list[list[File]] = []
        for stem, members in groupby(sorted(files, key=_order), lambda file: _stem(file.name)):
            if not groups or xxhash.xxh3_64_intdigest(stem.encode()) % GROUP_STEMS == 0:
                groups.append([])
            groups[-1].extend(members)
        return [_images_first(group) for group in groups]

    def count(self, split: Split, context: Context) -> Count:
        return count_files(split)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        batch, failures, aside, used = Samples(self.name), list[Failure](), 0, 0
        for _, grouped in groupby(split.files, lambda file: _stem(file.name)):
            members = list(grouped)
            images = list(_open_images(members, self.caption, context))
            opened = [image for image in images if isinstance(image, _Described)]
            for file, description, image in opened:
                batch.add(file.name, file.uri, description, [image])
            failed = [image for image in images if isinstance(image, Failure)]
            if not images:
                aside += len(members)
            elif opened:
                used += len(members) - len(failed)
            else:  # the files beside the image are lost with it
                if beside := len(members) - len(failed):
                    failed[0] = failed[0]._replace(units=1 + beside, rows=1)
            failures += failed
            if batch.is_full or len(failures) >= BATCH_ROWS:
                yield _batch(batch, failures, aside, used)
                batch, failures, aside, used = Samples(self.name), [], 0, 0
        yield _batch(batch, failures, aside, used)


def _batch(batch: Samples, failures: list[Failure], aside: int, used: int) -> ReadBatch:
    """Makes the batch of the collected records. `used` is the number of files from which the
    records were made, and `aside` the number of statistics files that were skipped."""
    return ReadBatch(batch.records(), failures, {_STATISTICS: aside} if aside else {}, used)


class _Described(NamedTuple):
    """An image that could be opened, and the content of the text and JSON files beside it."""

    file: File
    description: Description
    image: OpenedImage


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _order(file: File) -> tuple[str, bool, str]:
    """The sort key of a file: files are sorted by stem, and an image comes before its text and JSON
    files."""
    return _stem(file.name), _suffix(file.name) in SIDECARS, file.name


def _images_first(group: list[File]) -> list[File]:
    """Sorts the files: files that belong to an image (have the name of an image, apart from the
    suffix) come before all other files, because the engine checks the format of a source on its
    first files."""
    stems = {_stem(file.name) for file in group if _suffix(file.name) not in SIDECARS}
    return sorted(group, key=lambda file: _stem(file.name) not in stems)


def _open_images(
    members: list[File], caption: tuple[str, ...], context: Context
) -> Iterator[_Described | Failure]:
    """Opens the images among `members`, which are files with the same stem; the text and JSON files
    among them describe these images. Yields a Failure for an image that cannot be opened or
    described, and for a text or JSON file without an image."""
    images = [file for file in members if _suffix(file.name) not in SIDECARS]
    sidecars = [file for file in members if _suffix(file.name) in SIDECARS]
    if not images:
        yield from (_no_image(f) for f in sidecars if not f.name.endswith(_STATISTICS))
        return
    description = _describe(sidecars, caption, context)
    for file in images:
        try:
            if isinstance(description, RowError):
                raise description
            yield _Described(file, description, _open(file, context))
        except RowError as error:
            yield Failure.of(file.name, file.uri, error)


def _no_image(sidecar: File) -> Failure:
    fault = f"no image has the same name as the file {sidecar.name!r}."
    fix = f"Add an image such as {_stem(sidecar.name)}.jpg, or leave the file out with `exclude`."
    return Failure.of(sidecar.name, sidecar.uri, RowError(fault, "", fix))


def _describe(
    sidecars: list[File], caption: tuple[str, ...], context: Context
) -> Description | RowError:
    data = {}
    try:
        for file in sidecars:
            check_sidecar_size(_suffix(file.name), file.size, context.limits)
            data[_suffix(file.name)] = context.media.read(Reference(file.uri))
        return describe(data, caption)
    except RowError as error:
        return error


def _open(file: File, context: Context) -> OpenedImage:
    reference = Reference(file.uri, None, file.size)
    try:
        check_size(file.size, context.limits)
        return OpenedImage(reference, context.media.header(reference))
    except MediaError as error:
        raise with_suffix(_suffix(file.name), error) from None
