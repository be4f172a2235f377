"""A base class for readers of many small annotation files, one for each image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import xxhash
from pydantic import Field

from curate.ingest.grounding.annotations.annotation import AnnotatedImage
from curate.ingest.grounding.annotations.grounding_reader import GroundingReader
from curate.ingest.images import OpenedImage, open_image
from curate.ingest.media_folder import MediaFolder
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import (
    BATCH_ROWS,
    Context,
    Count,
    Failure,
    ReadBatch,
    Split,
    count_files,
)
from manifests import storage
from manifests.errors import FileError, MediaError, RowError, UnreadableError
from manifests.media import Reference
from manifests.storage import File

GROUP_FILES = 2000
"""Average number of files for one task (our choice: seconds of work, and enough to detect a wrong
coordinate space)."""
NO_ANNOTATION = "If this is no annotation file, leave it out with `exclude`."


class FilePerImage(GroundingReader):
    """A reader of one annotation file per image. The key of a record is the name of the annotation
    file.

    Files are read in groups, so that the coordinate space is checked over many files at once.
    """

    max_bytes: ClassVar[int] = 16 << 20
    """Largest size of an annotation file (our choice): the whole file is read into memory."""

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)

    @abstractmethod
    def parse(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        """Parses the image and annotations of a file. Raises FileError if the file is broken, or
        RowError if an annotation is malformed."""

    def groups(self, files: list[File]) -> list[list[File]]:
        """Groups the files, sorted by their names without folder and ending. Files in different
        folders with the same name are in one group, because they may name the same image.

        A group has GROUP_FILES files on average. A hash of a file's name decides whether the file
        starts a new group, so that adding or removing a file changes at most two groups.
        """
        groups: list[list[File]] = []
        last = ""
        for file in sorted(files, key=lambda file: (_own_stem(file), file.name)):
            own = _own_stem(file)
            is_first = xxhash.xxh3_64_intdigest(own.encode()) % GROUP_FILES == 0
            if not groups or (own != last and is_first):
                groups.append([])
            groups[-1].append(file)
            last = own
        return groups

    def count(self, split: Split, context: Context) -> Count:
        return count_files(split)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        cache = SplitCache(context, split.files)
        for start in range(0, len(split.files), BATCH_ROWS):
            yield self._batch(split.files[start : start + BATCH_ROWS], cache)

    def _batch(self, files: tuple[File, ...], cache: SplitCache) -> ReadBatch:
        annotated: list[AnnotatedImage] = []
        failures: list[Failure] = []
        for file in files:
            try:
                annotated.append(self._annotated(file, cache))
            except (FileError, RowError, UnreadableError) as error:
                failures.append(Failure.of(self.key(file, ""), self.origin(file, ""), error))
        batch = self.records(files[0], annotated, cache.context)
        return batch._replace(failures=failures + batch.failures)

    def _annotated(self, file: File, cache: SplitCache) -> AnnotatedImage:
        if file.size > self.max_bytes:
            fault = (
                f"the file has {file.size} bytes, over the limit of {self.max_bytes} bytes "
                "for the annotations of one image."
            )
            raise FileError(fault, file.uri, f"{NO_ANNOTATION} Otherwise, leave it in quarantine.")
        data = storage.read_bytes(cache.context.media.resolve(file.uri))
        return self.parse(file, data, cache)._replace(within="", file=file)

    def find_image(self, file: File, name: str | None, cache: SplitCache) -> OpenedImage | RowError:
        """Opens the image with the name `name`, which the annotation file states. If `name` is
        None, or if no image has this name, opens the image with the same name as the annotation
        file. Returns an error if there is no image, or if the image may belong to another
        annotation file. Raises RowError if several images have the name."""
        names = _possible_names(file, name, with_folder=self.media_root is not None)
        root, folder = self.image_root(file, cache.context), file.name.rpartition("/")[0]
        found = cache.find_image(root, names)
        if self.media_root is None or not isinstance(found, OpenedImage):
            return found
        own_folder = storage.join(root, folder) if folder else storage.join(root)
        is_own = storage.folder_of(found.reference.uri) == own_folder
        is_by_stem = _stem(storage.base_name(found.reference.uri)) == _own_stem(file)
        others = cache.same_name(file) if is_by_stem and not is_own else []
        return _of_several(file, others, found) if others else found

    def image_root(self, file: File, context: Context) -> str:
        """Returns the folder that should contain the image of an annotation file."""
        return root_of(self.media_root, file, context.base)

    def key(self, file: File, within: object) -> str:
        return file.name

    def origin(self, file: File, within: object) -> str:
        return file.uri


def _of_several(file: File, others: list[str], found: OpenedImage) -> RowError:
    return RowError(
        f"the image is not in the same folder as the file {file.name!r:.200}, so the image may "
        f"belong to {' or '.join(repr(name) for name in others[:3])} instead.",
        found.reference.uri,
        "Put the images in the same folders as the annotation files, below media_root.",
    )


class SplitCache:
    """Keeps lists of image folders, and class names. Each folder and each file of class names is
    read only once for all files of a split."""

    def __init__(self, context: Context, files: Sequence[File]) -> None:
        self.context = context
        self._files: dict[str, list[str]] = {}
        for file in files:
            self._files.setdefault(_own_stem(file), []).append(file.name)
        self.class_names: dict[str, dict[int, str]] = {}
        """Class names, by the folder or file from which they were read."""
        self._folders: dict[str, MediaFolder] = {}

    def same_name(self, file: File) -> list[str]:
        """The other annotation files of the split with the same file name, without folder and
        ending: `b/1.xml` for `a/1.xml`."""
        return [name for name in self._files[_own_stem(file)] if name != file.name]

    def find_image(self, root: str, names: list[str]) -> OpenedImage | RowError:
        """Opens the image with the first of `names` for which an image exists below `root`. A name
        may lack the suffix of the image. Returns an error if no image has one of the names. Raises
        RowError if several images have the name."""
        if root not in self._folders:
            self._folders[root] = MediaFolder(root, self.context.base)
        for name in names:
            uri = self._folders[root].find(name)
            if uri is not None:
                return open_image(Reference(uri), self.context.media)
        fault = (
            "there is no image for this annotation file in "
            f"{root or 'the folder of the file'}: looked for {', '.join(names)}."
        )
        fix = "Copy the image to this folder, or set media_root to the folder of the images."
        return MediaError(fault, fix=fix)


def _possible_names(file: File, name: str | None, *, with_folder: bool) -> list[str]:
    """Returns the image names to try for an annotation file: `name`, which the annotation file
    states, then `name` without its suffix, then the name of the annotation file without its suffix.

    If `with_folder` is true, these names are first tried in the subfolder of the annotation file.
    File `sub/a.xml`, name `C:\\b.png` -> `sub/b.png`, `sub/b`, `sub/a`, `b.png`, `b`, `a`.
    """
    folder = file.name.rpartition("/")[0]
    last = "" if name is None else name.replace("\\", "/").rpartition("/")[2]
    candidates = [last, _stem(last), _own_stem(file)]
    names = [one for one in dict.fromkeys(candidates) if one not in ("", ".", "..")]
    return [f"{folder}/{one}" for one in names if folder and with_folder] + names


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _own_stem(file: File) -> str:
    """The name of a file without its folder and its ending: `train/a.b.txt` -> `a.b`."""
    return _stem(file.name.rpartition("/")[2])
