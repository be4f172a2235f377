"""YOLO: a text file for each image, with a line for each box or polygon."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.class_names import (
    FILES,
    ClassNames,
    class_name,
    class_names_file,
    class_names_near,
    read_class_names,
)
from curate.ingest.grounding.annotations.file_per_image import FilePerImage, SplitCache
from curate.ingest.reader import Context, Head, existing_files
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

_TRACKED = {
    5: "the confidence of the box",
    6: "a coordinate of a polygon of three points",
}
"""What the last number of a line may be instead of the id of a track, for lines with 5 and with 6
numbers after the class."""
_MIN_LINE_BYTES = len("0 0 0 0 0")


class Yolo(FilePerImage):
    """YOLO label files, one per image, with a line for each box: class, centre and size.

        labels/a.txt      0 0.15 0.15 0.1 0.1
                          16 0.5 0.5 0.2 0.4
        classes.txt       dog
                          ...

    Coordinates are fractions of the image's sides. Each file becomes a record; an empty file is an
    image without objects. After the class, a line has four numbers (a box), five numbers (a box and
    its confidence, which becomes an attribute) or at least three points (a polygon; an oriented box
    is a polygon of four points).

    The trackers of ultralytics write the id of a track as the last number of a line, after the box
    or its confidence. So a line with five or six numbers after the class, of which the last is
    written without a decimal point, can be read in two ways. The file of such a line is
    quarantined, unless the setting `tracks` chooses one of the ways. With `tracks: true`, the last
    number becomes the attribute `track`. Lines with pose keypoints look like polygons and are not
    supported: a `data.yaml` with `kpt_shape` is an error.

    The image has the name of the label file, below `media_root`. Without `media_root`,
    the image must be beside the labels or, if the labels are in a folder `labels`, in the folder
    `images` next to that folder. An image without a label file is not read. The names of classes
    come from the setting `names`, or from a `classes.txt` or `data.yaml` near the labels;
    `classes.txt` is not read as a label file.
    """

    version: ClassVar[int] = 3
    suffixes: ClassVar[tuple[str, ...]] = (".txt",)
    own_space: ClassVar[Space] = SPACES["yolo"]

    names: ClassNames = None
    tracks: bool | None = Field(
        None,
        description="true: the last of five or six numbers after the class is the id of a "
        "track; false: it is a confidence or a coordinate; null: a line for which "
        "both are possible is an error",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        line = head.data.lstrip().partition(b"\n")[0].split()
        try:
            is_row = all(math.isfinite(float(word)) for word in line)
            return is_row and len(line) >= 5 and line[0].isdigit()
        except ValueError:
            return False

    def kind_aside(self, name: str) -> str | None:
        return "class names" if name.rpartition("/")[2] in FILES else super().kind_aside(name)

    def groups(self, files: list[File]) -> list[list[File]]:
        """Groups the files, with the empty files at the end of each group. Format detection reads
        the first file of a source, and an empty file does not show its format."""
        groups = super().groups(files)
        return [sorted(group, key=lambda file: file.size < _MIN_LINE_BYTES) for group in groups]

    def files_beside(self, files: Sequence[File], base: str) -> list[File]:
        if isinstance(self.names, tuple):
            return []
        folders = {storage.folder_of(file.uri) for file in files}
        near = (class_names_file(folder, base) for folder in folders)
        return existing_files(filter(None, [self.names] if self.names else near), base)

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        if not isinstance(self.names, tuple):
            self._read_names(self.names or storage.folder_of(file.uri), context.base)

    def parse(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        names = self._names(file, cache)
        try:
            lines = data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            fault = f"byte {error.start} of the file is not UTF-8."
            raise FileError(fault, file.uri, "Convert the file to UTF-8.") from None
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        annotations = [_annotation(line, number, names, self.tracks) for number, line in numbered]
        return AnnotatedImage("", self.find_image(file, None, cache), annotations)

    def image_root(self, file: File, context: Context) -> str:
        own = super().image_root(file, context)
        if self.media_root is not None:
            return own
        path, query = storage.split_query(own)
        before, labels, after = f"/{path}/".rpartition("/labels/")
        return f"{before}/images/{after}"[1:].rstrip("/") + query if labels else own

    def _names(self, file: File, cache: SplitCache) -> dict[int, str]:
        if isinstance(self.names, tuple):
            return dict(enumerate(self.names))
        where = storage.folder_of(file.uri) if self.names is None else self.names
        if where not in cache.class_names:
            cache.class_names[where] = self._read_names(where, cache.context.base)
        return cache.class_names[where]

    def _read_names(self, where: str, base: str) -> dict[int, str]:
        return (class_names_near if self.names is None else read_class_names)(where, base)


def _annotation(line: str, number: int, names: dict[int, str], tracks: bool | None) -> Annotation:
    """Parses a line of a label file: `0 0.15 0.15 0.1 0.1` -> `Annotation("dog", box=[0.15, 0.15,
    0.1, 0.1])`."""
    first, *words = line.split()
    try:
        numbers = [float(word) for word in words]
        if not all(map(math.isfinite, numbers)):
            raise ValueError
    except ValueError:
        raise RowError(
            f"line {number}: {line!r:.80} is not a class number followed by numbers"
        ) from None
    try:
        is_track = len(words) in _TRACKED and _is_track(words, numbers, tracks)
        shape = _tracked(numbers) if is_track else _shape(numbers)
        return Annotation(class_name(names, first), **shape)
    except RowError as error:
        raise RowError(f"line {number}: {error.fault}", fix=error.fix) from None


def _is_track(words: list[str], numbers: list[float], tracks: bool | None) -> bool:
    """Whether the last number of a line is the id of a track. `numbers` are the five or six numbers
    after the class, and `words` are the same numbers as they are written. The id of a track is
    written without a decimal point. In a line with six numbers and an id, the fifth number is the
    confidence of the box, which is at most 1. Raises RowError if the last number may be an id and
    `tracks` is None."""
    if not words[-1].isdecimal() or not all(0 <= n <= 1 for n in numbers[4:-1]):
        return False
    if tracks is None:
        other = _TRACKED[len(words)]
        raise RowError(
            f"the last number, {words[-1]}, may be the id of a track or {other}. Set `tracks: "
            "true` if it is the id of a track, otherwise `tracks: false`."
        )
    return tracks


def _tracked(numbers: list[float]) -> dict[str, Any]:
    """Converts a box with a track: `[0.5, 0.5, 0.2, 0.4, 0.91, 7]` -> `{"box": [0.5, 0.5, 0.2,
    0.4], "attributes": {"confidence": 0.91, "track": 7}}`."""
    *confidence, track = numbers[4:]
    known = {"confidence": confidence[0]} if confidence else {}
    return {"box": numbers[:4], "attributes": {**known, "track": int(track)}}


def _shape(numbers: list[float]) -> dict[str, Any]:
    """Converts the numbers of a line (without the class) to the fields of an annotation: `[0.5,
    0.5, 0.2, 0.4]` -> `{"box": [0.5, 0.5, 0.2, 0.4]}`. Six or more numbers are a polygon."""
    if len(numbers) == 4:
        return {"box": numbers}
    if len(numbers) == 5:
        return {"box": numbers[:4], "attributes": {"confidence": numbers[4]}}
    if len(numbers) >= 6 and len(numbers) % 2 == 0:
        return {"polygon": [numbers]}
    raise RowError(
        f"{len(numbers)} numbers after the class are neither a box (4 or 5 numbers) "
        "nor a polygon (6, 8, 10, ... numbers)"
    )
