"""WebDataset tars, such as img2dataset's: neighbouring members with the same key form a sample."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import ClassVar

from pydantic import Field

from curate.ingest.captions.records.chat_samples import chat_fields, chat_row
from curate.ingest.captions.records.samples import Samples
from curate.ingest.captions.records.sidecars import (
    CAPTION_NAMES,
    check_sidecar_size,
    describe,
    is_image_suffix,
    with_suffix,
)
from curate.ingest.columns import Names
from curate.ingest.formats import tar
from curate.ingest.formats.random_access import Source
from curate.ingest.formats.tar_samples import Sample, samples
from curate.ingest.images import OpenedImage, check_size
from curate.ingest.reader import BATCH_ROWS, Context, Count, Failure, Head, ReadBatch, Reader, Split
from manifests.errors import InputError, MediaError, RowError
from manifests.media import Limits, Reference
from manifests.media.header import FIRST_BYTES, SHORT_BYTES, Header, probe
from manifests.storage import File, base_name

SPLIT_TAR_BYTES = 1 << 30
"""A tar larger than this is cut into splits (our choice: a shard of img2dataset, about 500 MB, is
one split)."""
SPLIT_SAMPLES = 20_000
"""Largest number of samples in a split of a large tar (our choice: they take one or two minutes to
decode)."""


_AGAIN = "Run again when no other program writes to the tar."


class WebDataset(Reader):
    """Tars in the WebDataset layout, such as img2dataset writes with `output_format: webdataset`.

        00017.tar:  000042.jpg  000042.txt  000042.json  000043.png  000043.txt ...

    Neighbouring members form one sample if their paths are equal up to the first dot in the file
    name. Members with the suffix `jpg`, `png`, `webp`, `gif` and so on, or `0.jpg`, are its images,
    in the order of the archive. The setting `caption` names the suffix or the JSON field of the
    caption, and the other fields of `KEY.json` go to `meta`. If `KEY.json` has `messages` or
    `conversations`, the sample becomes a chat with these images, as with the reader `llava`. A
    sample that curate wrote becomes the same record again. The tar is not unpacked: records refer
    to its byte ranges. It may be local or remote, but not compressed. A record's key is the name of
    the tar and the name of the sample: `00017.tar#000042`.

    A sample is quarantined if it has no image or has two members with the same name; if an image
    has no readable header, is over a limit, or is stored as a link; if its caption is not UTF-8, or
    its JSON does not parse; if its key occurred before in the tar; or if it is the last sample of a
    tar that ends too early. A member whose name is absolute or points outside the archive is
    quarantined too. Other types of members, hidden members, and members without a dot in their
    names are ignored, because the webdataset library ignores them too.
    """

    version: ClassVar[int] = 3
    counts_while_reading: ClassVar[bool] = True
    suffixes: ClassVar[tuple[str, ...]] = (".tar",)

    caption: Names = Field(
        CAPTION_NAMES,
        description="where to find the caption, in order of preference: a suffix (`txt` means "
        "the member KEY.txt) or a field of KEY.json; the first text that is not "
        "blank is used",
    )

    chats: bool = Field(
        True,
        description="true: a sample whose JSON has `messages` or `conversations` becomes a "
        "chat; false: it becomes a caption",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """Whether this is an empty tar, or a tar with an image among its first members."""
        if not tar.is_tar(head.data):
            return False
        names = [found.name or "" for found in tar.members(memoryview(head.data))]
        return not names or any(is_image_suffix(n.lower().rpartition("/")[2]) for n in names)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        starts = [0]
        if file.size > SPLIT_TAR_BYTES:
            with contextlib.suppress(InputError):  # `read` reports the error
                starts = _cuts(tar.open_tar(context.media.resolve(file.uri)), self.caption)
        for start, stop in pairwise([*starts, -1]):
            yield Split((file,), start, stop)

    def count(self, split: Split, context: Context) -> Count:
        source = tar.open_tar(context.media.resolve(split.files[0].uri))
        return tar.count_members(source, split.start, split.stop)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        (file,) = split.files
        try:
            source = tar.open_tar(context.media.resolve(file.uri))
        except InputError as error:
            failure = Failure.of(file.name, file.uri, error)
            yield ReadBatch(Samples(self.name).records(), [failure])
            return
        yield from self._read_tar(file, source, split, context)

    def _read_tar(
        self, file: File, source: Source, split: Split, context: Context
    ) -> Iterator[ReadBatch]:
        batch, failures, seen = Samples(self.name), list[Failure](), set[str]()
        walked, used, aside = tar.Walked(), 0, Counter[str]()
        for sample in samples(source, split.start, split.stop, self.caption, walked):
            key, origin = self.key(file, sample.key), self.origin(file, sample.key)
            try:
                _check(sample, seen)
                sidecars = _sidecars(source, sample, self.caption, context.limits)
                fields = chat_fields(sidecars) if self.chats else None
                if fields is None:
                    description = describe(sidecars, self.caption)
                    images = _images(source, sample, file.uri, context)
                    batch.add(key, origin, description, _required(images, sample))
                else:
                    images = _images(source, sample, file.uri, context)
                    others = {name: data for name, data in sidecars.items() if name != "json"}
                    text = describe(others, self.caption).text
                    names = [f"{base_name(sample.key)}.{suffix}" for suffix in sample.members]
                    paths = [name for name in names if is_image_suffix(name.partition(".")[2])]
                    batch.add_row(key, origin, chat_row(fields, text, images, paths))
            except RowError as error:
                failures.append(Failure.of(key, origin, error, sample.size, rows=1))
            else:
                used += len(sidecars) + len(images)
                if sample.size > len(sidecars) + len(images):
                    aside.update(_unknown(sample, sidecars))
            if batch.is_full or len(failures) >= BATCH_ROWS:
                yield ReadBatch(batch.records(), failures, aside, used)
                batch, failures, used, aside = Samples(self.name), [], 0, Counter()
        yield ReadBatch(batch.records(), failures, aside, used, tar.count_of(walked))


def _unknown(sample: Sample, sidecars: Collection[str]) -> Iterator[str]:
    """Yields the suffixes, with a dot, of the members of a sample that are not used for the record:
    those that are neither images nor files whose suffix is in `sidecars`."""
    return (f".{s}" for s in sample.members if s not in sidecars and not is_image_suffix(s))


def _check(sample: Sample, seen: set[str]) -> None:
    """Raises an error if the sample has a fault, or if its key is already in `seen`. Adds the key
    to `seen` in any case."""
    is_repeated = sample.key in seen
    seen.add(sample.key)
    if sample.fault is not None:
        raise sample.fault
    if is_repeated:
        raise RowError(
            f"the key {sample.key!r} occurs more than once in this tar.",
            "",
            "Put the members of a sample one after another (`tar --sort=name`), and give each "
            "sample its own key.",
        )


def _sidecars(
    source: Source, sample: Sample, caption: tuple[str, ...], limits: Limits
) -> dict[str, bytes | memoryview]:
    found: dict[str, bytes | memoryview] = {}
    for suffix in ("json", *caption):
        if suffix in sample.members:
            offset, size = sample.members[suffix]
            check_sidecar_size(suffix, size, limits)
            found[suffix] = source[offset : offset + size]
            if len(found[suffix]) < size:
                raise RowError(
                    f".{suffix} file: the tar became shorter while it was read", "", _AGAIN
                )
    return found


def _images(source: Source, sample: Sample, uri: str, context: Context) -> list[OpenedImage]:
    images = []
    for suffix, (offset, size) in sample.members.items():
        if is_image_suffix(suffix):
            try:
                check_size(size, context.limits)
                header = _header(source, offset, size)
                context.media.check(header)
            except MediaError as error:
                raise with_suffix(suffix, error) from None
            images.append(OpenedImage(Reference(uri, offset, size), header))
    return images


def _required(images: list[OpenedImage], sample: Sample) -> list[OpenedImage]:
    if not images:
        raise RowError(
            f"the sample has no image: its members are {', '.join(sample.members)}.",
            "",
            "Name the image members KEY.jpg, KEY.png, KEY.webp or similar.",
        )
    return images


def _header(source: Source, offset: int, size: int) -> Header:
    """Returns the header of an image. Only the first bytes of the image are read if the whole
    header is in them, so that less of a remote tar is fetched."""
    for first in (SHORT_BYTES, FIRST_BYTES):
        with contextlib.suppress(MediaError):
            return probe(source[offset : offset + min(size, first)])
    return probe(source[offset : offset + size])


def _cuts(source: Source, captions: tuple[str, ...]) -> list[int]:
    """Returns the byte positions at which a large tar is cut into splits; each position is the
    start of a sample. The result is [0], which means one split, if a key occurs twice in the tar:
    only if both samples are in one split, the repeated key is found and reported as an error.

    A hash of each key is held in memory. `captions` has the suffixes of the files with captions.
    """
    starts, count, last, seen = [0], 0, -1, set[int]()
    for sample in samples(source, captions=captions):
        if hash(sample.key) in seen:
            return [0]
        seen.add(hash(sample.key))
        far = sample.start - starts[-1] >= SPLIT_TAR_BYTES
        is_next = sample.start > last  # samples of one group have the same start
        last = sample.start
        if sample.members and is_next and (far or count >= SPLIT_SAMPLES):
            starts.append(sample.start)
            count = 0
        count += 1
    return starts
