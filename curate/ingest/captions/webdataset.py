"""WebDataset tars, img2dataset's among them: samples are neighbours that share a name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar, NamedTuple

from pydantic import Field

from curate.ingest.captions.records.samples import (
    CAPTION_NAMES,
    Samples,
    check_sidecar,
    describe,
    is_image_suffix,
    with_suffix,
)
from curate.ingest.columns import Names
from curate.ingest.formats import tar
from curate.ingest.images import OpenedImage, check_size
from curate.ingest.reader import BATCH_ROWS, Context, Failure, Head, ReadBatch, Reader, Split
from manifests.errors import InputError, MediaError, RowError
from manifests.media import Reference
from manifests.media.header import FIRST_BYTES, Header, probe
from manifests.storage import File

SPLIT_TAR_BYTES = 1 << 30
"""Size of a tar above which it is cut (ours): img2dataset's shards, of some 500 MB, stay whole."""
SPLIT_SAMPLES = 20_000
"""Most samples in one stretch of a tar that is cut (ours): a minute or two of decoding."""


class WebDataset(Reader):
    """Tars in the WebDataset layout, such as img2dataset writes with `output_format: webdataset`.

    Neighbouring members whose names are the same up to the first dot of the base name, folder
    included, are one sample. Its members `jpg`, `png`, `webp`, `gif` and so on, also `0.jpg`, are
    its images, in the order of the archive; its caption is what `caption` finds; the other
    fields of `KEY.json` go to `meta`, and members of other kinds are left alone. Hidden members
    and those without a dot belong to no sample, as in the webdataset library. Nothing is
    unpacked: records refer to places in the tar, which may be local or remote, not compressed.

    Quarantined, one by one: samples without an image, with one that has no readable header or is
    over a limit, with two members of one name, with a caption that is not UTF-8 or JSON that does
    not parse, with a link in place of a file; samples whose key was in the tar before; members
    whose name is absolute or leaves the archive; and, in a tar that breaks off, the sample there.
    A record's key is the tar's name and the sample's.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".tar",)

    caption: Names = Field(
        CAPTION_NAMES,
        description="where the caption is, in order: each a suffix (`txt` is KEY.txt) or a field "
        "of KEY.json; the first that says anything counts",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """A tar in whose first bytes an image's name can be seen, or an empty one."""
        if not tar.is_tar(head.data):
            return False
        names = [found.name or "" for found in tar.members(memoryview(head.data))]
        return not names or any(is_image_suffix(n.lower().rpartition("/")[2]) for n in names)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        starts = [0]
        if file.size > SPLIT_TAR_BYTES:
            with contextlib.suppress(InputError):  # `read` answers it
                starts = _cuts(tar.open_tar(context.media.resolve(file.uri)))
        for start, stop in pairwise([*starts, -1]):
            yield Split((file,), start, stop)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        (file,) = split.files
        try:
            source = tar.open_tar(context.media.resolve(file.uri))
        except InputError as error:
            yield ReadBatch(Samples(self.name).records(), [Failure.of(file.name, file.uri, error)])
            return
        yield from self._found(file, source, split, context)

    def _found(
        self, file: File, source: tar.Source, split: Split, context: Context
    ) -> Iterator[ReadBatch]:
        gathered, failures, seen = Samples(self.name), list[Failure](), set[str]()
        for sample in samples(source, split.start, split.stop):
            key, origin = self.key(file, sample.key), self.origin(file, sample.key)
            try:
                _check(sample, seen)
                said = describe(_sidecars(source, sample, self.caption), self.caption)
                images = _images(source, sample, file.uri, context)
                gathered.add(key, origin, said, images)
            except RowError as error:
                failures.append(Failure.of(key, origin, error))
            if gathered.is_full or len(failures) >= BATCH_ROWS:
                yield ReadBatch(gathered.records(), failures)
                gathered, failures = Samples(self.name), []
        yield ReadBatch(gathered.records(), failures)


class Sample(NamedTuple):
    """Members of one key: by suffix, the offset and size of each. `fault`: it cannot be read."""

    key: str
    start: int
    members: dict[str, tuple[int, int]]
    fault: RowError | None = None


def samples(source: tar.Source, start: int = 0, stop: int = -1) -> Iterator[Sample]:
    """The samples whose first header is in `start` to `stop`, and faults that belong to none.

    Where the tar breaks off, the sample that is open has a fault: members of it may be lost.
    """
    current = None
    for found in tar.members(source, start, stop):
        if found.name is None and current is not None:
            current = _spoiled(current, found)
            continue
        key, suffix = _key(found.name or "")
        if not key:
            if error := _stray_error(found):
                yield Sample(found.name or f"@{found.start}", found.start, {}, error)
            continue
        if current is None or key != current.key:
            if current is not None:
                yield current
            current = Sample(key, found.start, {})
        if isinstance(found, tar.Fault) or suffix in current.members:
            current = _spoiled(current, found)
        else:
            current.members[suffix] = found.offset, found.size
    if current is not None:
        yield current


def _key(name: str) -> tuple[str, str]:
    """Key and suffix of a member; no key where it belongs to no sample, or would leave the tar."""
    base = name.rfind("/") + 1
    dot = name.find(".", base)
    if dot <= base or _leaves(name):
        return "", ""
    return name[:dot], name[dot + 1 :].lower()


def _leaves(name: str) -> bool:
    """Whether a path is absolute, on POSIX or Windows, or goes up out of its folder."""
    if not (".." in name or ":" in name or name.startswith(("/", "\\"))):
        return False
    path = name.replace("\\", "/")
    return path.startswith("/") or path[1:3] == ":/" or ".." in path.split("/")


def _stray_error(found: tar.Member | tar.Fault) -> RowError | None:
    if isinstance(found, tar.Fault):
        return found.error
    if _leaves(found.name):
        fault = f"the name {found.name!r} is absolute, or leaves the archive."
        return RowError(fault, "", "Pack the tar with relative names.")
    return None


def _spoiled(sample: Sample, found: tar.Member | tar.Fault) -> Sample:
    """The sample with a fault, the first that it has."""
    error = found.error if isinstance(found, tar.Fault) else _twice(found.name)
    return sample._replace(fault=sample.fault or error)


def _twice(name: str) -> RowError:
    return RowError(f"a second member {name!r}.", "", "Give every member of a sample its own name.")


def _check(sample: Sample, seen: set[str]) -> None:
    """Raises the sample's fault, and for a key that was in the tar before."""
    again = sample.key in seen
    seen.add(sample.key)
    if sample.fault is not None:
        raise sample.fault
    if again:
        fault = f"the key {sample.key!r} was in this tar before."
        raise RowError(fault, "", "Keep the members of a sample together, and keys apart.")


def _sidecars(
    source: tar.Source, sample: Sample, caption: tuple[str, ...]
) -> dict[str, bytes | memoryview]:
    found: dict[str, bytes | memoryview] = {}
    for suffix in ("json", *caption):
        if suffix in sample.members:
            offset, size = sample.members[suffix]
            check_sidecar(suffix, size)
            found[suffix] = source[offset : offset + size]
    return found


def _images(source: tar.Source, sample: Sample, uri: str, context: Context) -> list[OpenedImage]:
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
    if not images:
        fault = f"no image in it: its members are {', '.join(sample.members)}."
        raise RowError(fault, "", "Name images KEY.jpg, KEY.png, KEY.webp and the like.")
    return images


def _header(source: tar.Source, offset: int, size: int) -> Header:
    """From the first bytes where they suffice: of a remote tar, no more are fetched."""
    try:
        return probe(source[offset : offset + min(size, FIRST_BYTES)])
    except MediaError:
        if size <= FIRST_BYTES:
            raise
        return probe(source[offset : offset + size])


def _cuts(source: tar.Source) -> list[int]:
    """Where samples start at which a big tar is cut; it stays whole where a key comes back.

    Only who reads both samples of a key can tell the second. Hashes of keys stand for them.
    """
    starts, count, seen = [0], 0, set[int]()
    for sample in samples(source):
        if hash(sample.key) in seen:
            return [0]
        seen.add(hash(sample.key))
        far = sample.start - starts[-1] >= SPLIT_TAR_BYTES
        if sample.members and (far or count >= SPLIT_SAMPLES):
            starts.append(sample.start)
            count = 0
        count += 1
    return starts
