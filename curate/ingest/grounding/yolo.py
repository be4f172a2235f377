"""YOLO: a text file for each image, with a line for each box or polygon."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.class_names import (
    FILES,
    ClassNames,
    class_name,
    class_names_near,
    read_class_names,
)
from curate.ingest.grounding.annotations.file_per_image import FilePerImage, SplitCache
from curate.ingest.reader import Context, Head
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

_MIN_LINE_BYTES = len("0 0 0 0 0")


class Yolo(FilePerImage):
    """YOLO label files, one per image, with a line for each box: class, centre and size.

        labels/a.txt      0 0.15 0.15 0.1 0.1
                          16 0.5 0.5 0.2 0.4
        classes.txt       dog
                          ...

    Coordinates are fractions of the image's sides. Each file becomes a record; an empty file is an
    image without objects. After the class, a line has four numbers (a box), five (a box and its
    confidence, which becomes an attribute) or at least three points (a polygon; an oriented box is
    a polygon of four points). Lines with pose keypoints look like polygons and are not supported: a
    `data.yaml` with `kpt_shape` is refused.

    The image has the name of the label file and is looked for below `media_root`. Without
    `media_root`, the image must be beside the labels or, if the labels are in a folder `labels`, in
    the folder `images` next to that folder. An image without a label file is not read. The names of
    classes come from `names`, or from a `classes.txt` or `data.yaml` near the labels; those files
    are not read as labels.
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
        return [file for file in files if file.name.rpartition("/")[2] not in FILES]

    def groups(self, files: list[File]) -> list[list[File]]:
        """Groups the files, with empty files last, because format detection reads a source's first
        file."""
        groups = super().groups(files)
        return [sorted(group, key=lambda file: file.size < _MIN_LINE_BYTES) for group in groups]

    def parse(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        names = self._names(file, cache)
        try:
            lines = data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FileError(f"byte {error.start} is not UTF-8.", file.uri) from None
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        annotations = [_annotation(line, number, names) for number, line in numbered]
        return AnnotatedImage("", self.find_image(file, None, cache), annotations)

    def image_root(self, file: File, context: Context) -> str:
        own = super().image_root(file, context)
        if self.media_root is not None:
            return own
        before, labels, after = f"/{own}/".rpartition("/labels/")
        return f"{before}/images/{after}"[1:].rstrip("/") if labels else own

    def _names(self, file: File, cache: SplitCache) -> dict[int, str]:
        if isinstance(self.names, tuple):
            return dict(enumerate(self.names))
        where = file.uri.rpartition("/")[0] if self.names is None else self.names
        if where not in cache.class_names:
            find = class_names_near if self.names is None else read_class_names
            cache.class_names[where] = find(where, cache.context.base)
        return cache.class_names[where]


def _annotation(line: str, number: int, names: dict[int, str]) -> Annotation:
    """Parses a line of a label file: `0 0.15 0.15 0.1 0.1` -> `Annotation("dog", box=[0.15, 0.15,
    0.1, 0.1])`."""
    first, *words = line.split()
    try:
        numbers = [float(word) for word in words]
        if not all(map(math.isfinite, numbers)):
            raise ValueError
    except ValueError:
        raise RowError(f"line {number}: {line!r:.80} is not a class and its numbers") from None
    try:
        return Annotation(class_name(names, first), **_shape(numbers))
    except RowError as error:
        raise RowError(f"line {number}: {error.fault}") from None


def _shape(numbers: list[float]) -> dict[str, Any]:
    """Converts the numbers of a line (without the class) to the fields of an annotation: a box or a
    polygon."""
    if len(numbers) == 4:
        return {"box": numbers}
    if len(numbers) == 5:
        return {"box": numbers[:4], "attributes": {"confidence": numbers[4]}}
    if len(numbers) >= 6 and len(numbers) % 2 == 0:
        return {"polygon": [numbers]}
    raise RowError(f"{len(numbers)} numbers after the class are neither a box nor a polygon")
