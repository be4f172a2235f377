"""Annotations in many small files, one for each image: read in groups, checked in groups."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import xxhash
from pydantic import Field

from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    SpaceOverride,
    TrustSetting,
    grounding_records,
)
from curate.ingest.images import OpenedImage, open_image
from curate.ingest.media_folder import MediaFolder
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import BATCH_ROWS, Context, Failure, ReadBatch, Reader, Split
from manifests import storage
from manifests.errors import FileError, MediaError, RowError
from manifests.geometry.space import Space
from manifests.media import Reference
from manifests.storage import File

GROUP_FILES = 2000
"""Files that one task reads, on average (ours: seconds of work, and enough to judge a space by)."""


class FilePerImage(Reader):
    """What readers of one annotation file an image share. A record's key is the file's name."""

    modality: ClassVar[str] = "grounding"
    own_space: ClassVar[Space]
    """The space of the format's numbers."""
    most_bytes: ClassVar[int] = 16 << 20
    """A larger annotation of one image is none (ours): it is held in memory whole."""

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    space: SpaceOverride = None
    trust: TrustSetting = False

    @abstractmethod
    def sample(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        """What a file says. FileError where it is broken, RowError where it is not whole."""

    def grouped(self, files: list[File]) -> list[list[File]]:
        """Some 2000 files a group. A hash of the name says whether a group starts with it, so that
        a file that comes or goes changes its own group and no other."""
        groups: list[list[File]] = []
        for file in sorted(files, key=lambda file: file.name):
            if not groups or xxhash.xxh3_64_intdigest(file.name.encode()) % GROUP_FILES == 0:
                groups.append([])
            groups[-1].append(file)
        return groups

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        cache = SplitCache(context)
        for start in range(0, len(split.files), BATCH_ROWS):
            yield self._found(split.files[start : start + BATCH_ROWS], cache)

    def _found(self, files: tuple[File, ...], cache: SplitCache) -> ReadBatch:
        samples: list[AnnotatedImage] = []
        failures: list[Failure] = []
        for file in files:
            try:
                samples.append(self._sample(file, cache))
            except (FileError, RowError) as error:
                failures.append(Failure.of(self.key(file, ""), self.origin(file, ""), error))
        space = self.space or self.own_space
        said = grounding_records(self, files[0], samples, space, cache.context, self.trust)
        return said._replace(failures=failures + said.failures)

    def _sample(self, file: File, cache: SplitCache) -> AnnotatedImage:
        if file.size > self.most_bytes:
            fault = f"{file.size} bytes is over the limit of {self.most_bytes} for one image."
            raise FileError(fault, file.uri, "Leave out what is no annotation.")
        data = storage.read_bytes(cache.context.media.resolve(file.uri))
        return self.sample(file, data, cache)._replace(within="", file=file)

    def image(self, file: File, name: str | None, cache: SplitCache) -> OpenedImage | RowError:
        """The image of that name, or else of the name of the annotation file."""
        names = _names(file, name, below=self.media_root is not None)
        return cache.find(self.root(file, cache.context), names)

    def root(self, file: File, context: Context) -> str:
        """The folder of a file's images."""
        return root_of(self.media_root, file, context.base)

    def key(self, file: File, within: object) -> str:
        return file.name

    def origin(self, file: File, within: object) -> str:
        return file.uri


class SplitCache:
    """What a split is read with: the folders of its images, each listed once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.names: dict[str, dict[int, str]] = {}
        """Names of classes, by where they were looked for."""
        self._shelves: dict[str, MediaFolder] = {}

    def find(self, root: str, names: list[str]) -> OpenedImage | RowError:
        """The first of these names that is there, with or without the ending of an image."""
        if root not in self._shelves:
            self._shelves[root] = MediaFolder(root, self.context.base)
        for name in names:
            found = self._shelves[root].find(name)
            if found is not None:
                return open_image(Reference(found), self.context.media)
        fault = f"no image: looked for {', '.join(names)} in {root or 'its own folder'}."
        return MediaError(fault, fix="Set media_root to the folder that the images lie in.")


def _names(file: File, name: str | None, *, below: bool) -> list[str]:
    """An image's own name, its name without ending, then those of the annotation file; each
    first in the folder that the annotation file has below the source."""
    folder, _, own = file.name.rpartition("/")
    last = "" if name is None else name.replace("\\", "/").rpartition("/")[2]
    plain = [last, _stem(last), _stem(own)]
    there = [one for one in dict.fromkeys(plain) if one not in ("", ".", "..")]
    return [f"{folder}/{one}" for one in there if folder and below] + there


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
