"""YOLO: a text file for each image, and in it a line for each box or polygon."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from curate.ingest.grounding.annotations.class_names import (
    FILES,
    ClassNames,
    name_of,
    names_near,
    names_of,
)
from curate.ingest.grounding.annotations.file_per_image import FilePerImage, SplitCache
from curate.ingest.grounding.annotations.grounding_records import AnnotatedImage, Annotation
from curate.ingest.reader import Context, Head
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

_SHORTEST_LINE_BYTES = len("0 0 0 0 0")


class Yolo(FilePerImage):
    """YOLO label files: lines of `class cx cy width height`, shares of the image's sides.

    A file is a record, an empty one an image with no objects. A line of five numbers is a box,
    and of six a box with a confidence, which becomes an attribute; one of a class and three or
    more points is a polygon (segments; oriented boxes have four). Labels of poses look like
    polygons and are not read: a `data.yaml` with `kpt_shape` is refused. The image is named as
    the file is, and lies below `media_root`; if that is not set, where the files lie, in `images`
    for `labels` (the last such folder of the path). An image without a file is not seen: the
    path lists files. Names of classes come from `names`, or from the `classes.txt` or `data.yaml`
    nearby; such files are left alone where they lie among the labels.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".txt",)
    own_space: ClassVar[Space] = SPACES["yolo"]

    names: ClassNames = None

    @classmethod
    def sniff(cls, head: Head) -> bool:
        line = head.data.lstrip().partition(b"\n")[0].split()
        try:
            is_row = all(math.isfinite(float(word)) for word in line)
            return is_row and len(line) >= 5 and line[0].isdigit()
        except ValueError:
            return False

    def list_files(self, base: str) -> list[File]:
        files = super().list_files(base)
        return [f for f in files if f.name.rpartition("/")[2] not in FILES]

    def grouped(self, files: list[File]) -> list[list[File]]:
        """Files that are too short for a line last: a source is known by the first it gives."""
        groups = super().grouped(files)
        return [sorted(group, key=lambda f: f.size < _SHORTEST_LINE_BYTES) for group in groups]

    def sample(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        names = self._names(file, cache)
        try:
            lines = data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FileError(f"byte {error.start} is not UTF-8.", file.uri) from None
        annotations = [
            _annotation(line, n, names) for n, line in enumerate(lines, 1) if line.strip()
        ]
        return AnnotatedImage("", self.image(file, None, cache), annotations)

    def root(self, file: File, context: Context) -> str:
        own = super().root(file, context)
        if self.media_root is not None:
            return own
        before, mark, after = f"/{own}/".rpartition("/labels/")
        return f"{before}/images/{after}"[1:].rstrip("/") if mark else own

    def _names(self, file: File, cache: SplitCache) -> dict[int, str]:
        if isinstance(self.names, tuple):
            return dict(enumerate(self.names))
        where = file.uri.rpartition("/")[0] if self.names is None else self.names
        if where not in cache.names:
            find = names_near if self.names is None else names_of
            cache.names[where] = find(where, cache.context.base)
        return cache.names[where]


def _annotation(line: str, number: int, names: dict[int, str]) -> Annotation:
    first, *words = line.split()
    try:
        numbers = [float(word) for word in words]
        if not all(map(math.isfinite, numbers)):
            raise ValueError
    except ValueError:
        raise RowError(f"line {number}: {line!r:.80} is not a class and numbers") from None
    try:
        return Annotation(name_of(names, first), **_numbers(numbers))
    except RowError as error:
        raise RowError(f"line {number}: {error.fault}") from None


def _numbers(numbers: list[float]) -> dict[str, Any]:
    """The fields of an object that so many numbers are."""
    if len(numbers) == 4:
        return {"box": numbers}
    if len(numbers) == 5:
        return {"box": numbers[:4], "attributes": {"confidence": numbers[4]}}
    if len(numbers) >= 6 and len(numbers) % 2 == 0:
        return {"polygon": [numbers]}
    raise RowError(f"{len(numbers)} numbers after the class are neither a box nor a polygon")
