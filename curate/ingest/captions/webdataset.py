"""WebDataset tars, such as img2dataset's: neighbouring members with the same key form a sample."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
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
from curate.ingest.formats import tar
from curate.ingest.formats.random_access import Source
from curate.ingest.formats.tar_samples import Sample, samples
from curate.ingest.images import OpenedImage, check_size
from curate.ingest.reader import BATCH_ROWS, Context, Count, Failure, Head, ReadBatch, Reader, Split
from manifests.errors import InputError, MediaError, RowError
from manifests.media import Limits, Reference
from manifests.media.header import FIRST_BYTES, SHORT_BYTES, Header, probe
from manifests.setting_values import Names
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

    A sample is quarantined if it has no image and is not a chat; if it has two members with the
    same name; if an image has no readable header, is over a limit, or is stored as a link; if its
    caption is not UTF-8, or its JSON does not parse; if another sample of the tar has the same key,
    as when the members of a sample are not next to each other; or if it is the last sample of a tar
    that ends too early. A member whose name is absolute or points outside the archive is
    quarantined too. Other types of members, hidden members, and members without a dot in their
    names are left aside, because the webdataset library ignores them too.
    """

    version: ClassVar[int] = 4
    counts_while_reading: ClassVar[bool] = True
    suffixes: ClassVar[tuple[str, ...]] = (".tar",)
    modalities: ClassVar[tuple[str, ...]] = ("caption", "chat")

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
        """Yields the records of a split. A sample whose key occurs again later in the tar becomes
        no record, so the batches of a tar are held until its end. For a tar that is too large for
        this, the headers are read twice."""
        is_large, walked = file.size > SPLIT_TAR_BYTES, tar.Walked()
        is_whole = (split.start, split.stop) == (0, -1)
        repeated = _repeated_keys(source, self.caption) if is_large and is_whole else set[str]()
        batches = self._batches(file, source, split, context, repeated, walked)
        for batch in batches if is_large else list(batches):
            found = tar.count_of(walked) if batch.is_last else None
            yield self._without(batch, file, repeated)._replace(found=found)

    def _batches(
        self,
        file: File,
        source: Source,
        split: Split,
        context: Context,
        repeated: set[str],
        walked: tar.Walked,
    ) -> Iterator[_Batch]:
        """Yields the samples of a split in batches. A sample whose key is in `repeated` is a
        failure. If the key of a sample occurred before, it is added to `repeated`."""
        made, failures, taken = Samples(self.name), list[Failure](), dict[str, _Taken]()
        seen = set[str]()
        for sample in samples(source, split.start, split.stop, self.caption, walked):
            if sample.key in seen:
                repeated.add(sample.key)
            seen.add(sample.key)
            try:
                _check(sample, repeated)
                taken[sample.key] = self._add(made, sample, file, source, context)
            except RowError as error:
                failures.append(self._failure(file, sample.key, error, sample.size))
            if made.is_full or len(failures) >= BATCH_ROWS:
                yield _Batch(made.records(), failures, taken)
                made, failures, taken = Samples(self.name), [], {}
        yield _Batch(made.records(), failures, taken, is_last=True)

    def _add(
        self, made: Samples, sample: Sample, file: File, source: Source, context: Context
    ) -> _Taken:
        """Adds the record of a sample to `made`. Raises RowError if the sample has a fault."""
        key, origin = self.key(file, sample.key), self.origin(file, sample.key)
        sidecars = _sidecars(source, sample, self.caption, context.limits)
        fields = chat_fields(sidecars) if self.chats else None
        if fields is None:
            description = describe(sidecars, self.caption)
            images = _images(source, sample, file.uri, context)
            made.add(key, origin, description, _required(images, sample))
        else:
            images = _images(source, sample, file.uri, context)
            others = {name: data for name, data in sidecars.items() if name != "json"}
            text = describe(others, self.caption).text
            names = [f"{base_name(sample.key)}.{suffix}" for suffix in sample.members]
            paths = [name for name in names if is_image_suffix(name.partition(".")[2])]
            made.add_row(key, origin, chat_row(fields, text, images, paths))
        used = len(sidecars) + len(images)
        aside = tuple(_unknown(sample, sidecars)) if sample.size > used else ()
        return _Taken(sample.size, used, aside)

    def _failure(self, file: File, key: str, error: RowError, members: int) -> Failure:
        return Failure.of(self.key(file, key), self.origin(file, key), error, members, rows=1)

    def _without(self, batch: _Batch, file: File, repeated: set[str]) -> ReadBatch:
        """Returns the batch with a failure in place of each record whose key is in `repeated`."""
        lost = [key for key in batch.taken if key in repeated]
        records, failures = batch.records, list(batch.failures)
        if lost:
            origins = pa.array([self.origin(file, key) for key in lost], pa.string())
            records = records.filter(pc.invert(pc.is_in(records["origin"], origins)))
        for key in lost:
            failures.append(self._failure(file, key, _repeated(key), batch.taken[key].members))
        kept = [one for key, one in batch.taken.items() if key not in repeated]
        aside = Counter(suffix for one in kept for suffix in one.aside)
        return ReadBatch(records, failures, aside, sum(one.used for one in kept))


class _Taken(NamedTuple):
    """A sample that became a record: the number of its members, the number of members from which
    the record was made, and the suffixes of the other members."""

    members: int
    used: int
    aside: tuple[str, ...]


class _Batch(NamedTuple):
    """Records of neighbouring samples, and failures of samples between them. `taken` has each
    sample that became a record, by its key. `is_last`: whether this batch is the last of a split.
    """

    records: pa.Table
    failures: list[Failure]
    taken: dict[str, _Taken]
    is_last: bool = False


def _unknown(sample: Sample, sidecars: Collection[str]) -> Iterator[str]:
    """Yields the suffixes, with a dot, of the members of a sample that are not used for the record:
    those that are neither images nor files whose suffix is in `sidecars`."""
    return (f".{s}" for s in sample.members if s not in sidecars and not is_image_suffix(s))


def _check(sample: Sample, repeated: Collection[str]) -> None:
    """Raises an error if the sample has a fault, or if its key is in `repeated`."""
    if sample.fault is not None:
        raise sample.fault
    if sample.key in repeated:
        raise _repeated(sample.key)


def _repeated(key: str) -> RowError:
    return RowError(
        f"the key {key!r} occurs more than once in this tar.",
        "",
        "Put the members of a sample one after another (`tar --sort=name`), and give each sample "
        "its own key.",
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
    start of a sample. If a key occurs twice in the tar, the result is [0], which means one split. A
    repeated key is found and reported as an error only within one split.

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


def _repeated_keys(source: Source, captions: tuple[str, ...]) -> set[str]:
    """Returns the keys that several samples of a tar have. A hash of each key is held in memory.
    `captions` has the suffixes of the files with captions."""
    seen, repeated = set[int](), set[str]()
    for sample in samples(source, captions=captions):
        if hash(sample.key) in seen:
            repeated.add(sample.key)
        seen.add(hash(sample.key))
    return repeated
