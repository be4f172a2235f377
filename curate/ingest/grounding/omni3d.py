"""Omni3D: 3D boxes in metres in COCO's layout, with the camera of each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from curate.ingest.formats.json_fields import id_field, text_field
from curate.ingest.formats.json_object import first_element
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.categories import Categories
from curate.ingest.grounding.annotations.coco_layout import CocoFile, CocoLayout, size_of
from curate.ingest.grounding.annotations.fields import without
from curate.ingest.grounding.annotations.image_by_path_end import image_by_path_end
from curate.ingest.images import OpenedImage
from curate.ingest.reader import Context, Head
from manifests.errors import RowError
from manifests.geometry.cuboid import corners, euler_from_matrix
from manifests.geometry.shown_sizes import TRANSPOSED
from manifests.geometry.space import Space

BOXES = ("bbox2D_tight", "bbox2D_trunc", "bbox2D_proj")
"""The fields of 2D boxes, in order of preference: annotated by hand; projected and clipped to the
image; projected. The authors' own loader uses the same order (cubercnn/util/math_util.py,
`compute_priors`)."""
TOLERANCE = 0.02
"""The largest allowed distance between a computed corner and the corner in the file, as a share of
the box's diagonal; and the largest allowed error of a rotation matrix (our choice: numbers in the
files are rounded)."""
_IN_3D = ("bbox3D_cam", "center_cam", "dimensions", "R_cam")
_USED = ("image_id", "category_id", "category_name", *BOXES, *_IN_3D)
_SHAPES = {"center_cam": (3,), "dimensions": (3,), "R_cam": (3, 3), "bbox3D_cam": (8, 3)}


class Omni3d(CocoLayout):
    """Omni3D: KITTI, nuScenes, Objectron, SUN RGB-D, ARKitScenes and Hypersim in one layout.

        {"images": [{"id": 7, "file_path": "KITTI/a.jpg", "width": 1242, "height": 375,
                     "K": [[707, 0, 604], [0, 707, 180], [0, 0, 1]]}],
         "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "category_name": "car",
                          "bbox2D_tight": [600, 170, 700, 240], "valid3D": true,
                          "center_cam": [1.2, 0.8, 20.5], "dimensions": [1.6, 1.5, 4.1],
                          "R_cam": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]}],
         "categories": [{"id": 3, "name": "car"}]}

    Each entry of `images` becomes a record with all its annotations. Its image is `file_path` below
    `media_root`; leading folders of the path that do not exist are removed, unless another image
    path of the file has the same end. The matrix `K` becomes
    the camera, in pixels of the image after its Exif rotation is applied. `src_90_rotate`,
    `src_flagged` and the other fields go to `meta`.

    An annotation becomes an object with `category_name` as the label. Its box is the first of
    `bbox2D_tight`, `bbox2D_trunc` and `bbox2D_proj` that exists (corners in pixels), and the
    attribute `bbox2D` names this field. A box of four values -1 counts as missing, and the
    `bbox2D_proj` of an object that is partly behind the camera is not used.

    If `valid3D` is true, `box3d` is made of `center_cam`, `dimensions` and `R_cam`. `dimensions`
    are width, height, length, but the axes of a `box3d` are length (x), height (y), width (z), so
    the size is stored as length, height, width; roll, pitch and yaw come from `R_cam`. If the eight
    corners in `bbox3D_cam` differ from the corners of this `box3d`, the annotation fails, unless
    the setting `trust` is true. `valid3D`, `visibility`, `truncation`, `behind_camera`,
    `lidar_pts`, `segmentation_pts`, `depth_error` and all other fields become attributes, except
    values of -1, which mean unknown.

    The key of a record is the file's name and the image's id. An annotation that is malformed
    becomes a failure, and the record is made without it. If several images have the same id, all of
    them fail. A task holds only the annotations of its own split in memory.
    """

    version: ClassVar[int] = 4
    own_space: ClassVar[Space] = Space(form="xyxy", unit="pixel")

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_element(head, "annotations")
        return isinstance(first, dict) and {"valid3D", "center_cam"} <= first.keys()

    def parse_image(self, key: str, fields: dict[str, Any], coco: CocoFile) -> AnnotatedImage:
        path = text_field(fields, "file_path")
        image = image_by_path_end(coco.root, path, coco.context.media, coco.shared)
        meta = without(fields, "id", "width", "height", "K")
        size = size_of(fields)
        camera = None
        if isinstance(image, OpenedImage):
            camera = _camera(fields.get("K"), size, _shown_size(image, coco.context))
        return AnnotatedImage(key, image, size=size, meta=meta, camera=camera)

    def parse_annotations(
        self, entries: Sequence[dict[str, Any]], categories: Categories
    ) -> list[Annotation | RowError]:
        boxes = _boxes_3d(entries, self.trust)
        parsed: list[Annotation | RowError] = []
        for number, entry in enumerate(entries):  # row by row: entries have different fields
            try:
                parsed.append(_annotation(entry, categories, boxes.get(number)))
            except RowError as error:
                parsed.append(error)
        return parsed


class _Cuboid(NamedTuple):
    """The 3D box of an annotation, in metres along the camera's axes. `rotation` has shape (3, 3),
    and `corners` (the corners in the file, or None) has shape (8, 3)."""

    centre: np.ndarray
    size: np.ndarray
    rotation: np.ndarray
    corners: np.ndarray | None


def _annotation(
    entry: dict[str, Any], categories: Categories, box3d: list[float] | RowError | None
) -> Annotation:
    if isinstance(box3d, RowError):
        raise box3d
    kind, box = _box(entry)
    label = entry.get("category_name")
    if label is None:
        label = categories.name(id_field(entry, "category_id"))
    if not isinstance(label, str):
        raise RowError(f"'category_name' is {label!r:.80}, not text")
    attributes = {} if kind is None else {"bbox2D": kind}
    rest = {k: v for k, v in without(entry, *_USED).items() if not _is_unknown(v)}
    return Annotation(label, box=box, box3d=box3d, attributes=attributes | rest)


def _box(entry: dict[str, Any]) -> tuple[str | None, list[float] | None]:
    """Returns the name of the 2D box that is used (tight, trunc or proj) and its corners x1 y1 x2
    y2: `("tight", [600, 170, 700, 240])`; (None, None) if there is no box."""
    for name in BOXES:
        value = entry.get(name)
        is_meaningless = name == BOXES[-1] and entry.get("behind_camera") is True
        if value is None or value == [] or value == [-1] * 4 or is_meaningless:
            continue
        _array(value, (4,), name)
        return name.removeprefix("bbox2D_"), value
    return None, None


def _is_unknown(value: Any) -> bool:
    return type(value) in (int, float) and value == -1


def _boxes_3d(entries: Sequence[dict[str, Any]], trust: bool) -> dict[int, list[float] | RowError]:
    """Returns, by index, the `box3d` of each annotation whose `valid3D` is true, or an error if the
    fields of this annotation are faulty. Other annotations are left out. If the corners in the file
    differ from the corners of the `box3d`, the result is an error too, unless `trust` is true."""
    boxes: dict[int, list[float] | RowError] = {}
    cuboids: dict[int, _Cuboid] = {}
    for number, entry in enumerate(entries):
        if entry.get("valid3D") is True:
            try:
                cuboids[number] = _cuboid(entry)
            except RowError as error:
                boxes[number] = error
    if not cuboids:
        return boxes
    angles = euler_from_matrix(np.stack([cuboid.rotation for cuboid in cuboids.values()]))
    numbers = np.concatenate([[(*c.centre, *c.size) for c in cuboids.values()], angles], axis=1)
    for (number, cuboid), box, own in zip(cuboids.items(), numbers, corners(numbers), strict=True):
        fault = None if trust else _corner_error(cuboid, own)
        boxes[number] = box.tolist() if fault is None else fault
    return boxes


def _cuboid(entry: dict[str, Any]) -> _Cuboid:
    given = {
        name: _array(entry.get(name), shape, name)
        for name, shape in _SHAPES.items()
        if entry.get(name) is not None or name != "bbox3D_cam"
    }
    size = given["dimensions"][::-1]  # width height length, along the box's axes z y x
    if (size <= 0).any():
        raise RowError(
            f"'valid3D' is true, but 'dimensions' is {entry['dimensions']!r:.80}; each of its "
            "three numbers must be over 0"
        )
    rotation = np.clip(given["R_cam"], -2, 2)  # elements of a rotation are at most 1
    is_orthogonal = np.allclose(rotation @ rotation.T, np.eye(3), atol=TOLERANCE)
    if not is_orthogonal or np.linalg.det(rotation) < 0:
        raise RowError(f"'R_cam' is not a rotation: {entry['R_cam']!r:.120}")
    return _Cuboid(given["center_cam"], size, rotation, given.get("bbox3D_cam"))


def _corner_error(cuboid: _Cuboid, own: np.ndarray) -> RowError | None:
    """Returns an error if a corner in the file is far from all computed corners `own` (8, 3), or a
    computed corner is far from all corners in the file. Otherwise returns None."""
    if cuboid.corners is None:
        return None
    with np.errstate(over="ignore"):  # the file may have numbers of any size
        distances = np.linalg.norm(cuboid.corners[:, None] - own[None], axis=2)
        diagonal = float(np.linalg.norm(cuboid.size))
    worst = float(max(distances.min(axis=1).max(), distances.min(axis=0).max()))
    if worst <= TOLERANCE * diagonal:
        return None
    return RowError(
        f"a corner of 'bbox3D_cam' is {worst:.2f} m away from the corner computed from center_cam, "
        "dimensions and R_cam.",
        fix="Fix the annotation, or set `trust: true` to ignore bbox3D_cam.",
    )


def _array(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Converts a field to a float64 array of the given shape. Raises RowError if the field has
    another shape or has values that are not finite numbers."""
    try:
        array = np.array(value)
    except ValueError:  # lists of different lengths
        array = np.empty(0)
    if array.shape != shape or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise RowError(f"{name!r} is {value!r:.80}, not {' x '.join(map(str, shape))} numbers")
    return array.astype(np.float64)


def _shown_size(image: OpenedImage, context: Context) -> tuple[int, int]:
    size = image.header.width, image.header.height
    return size[::-1] if context.media.orientation(image.reference) in TRANSPOSED else size


def _camera(
    value: Any, size: tuple[float, float] | None, shown: tuple[int, int]
) -> list[float] | None:
    """Returns the camera, fx fy cx cy, in pixels of an image of the size `shown`, which is the size
    after the Exif rotation is applied. `value` is the matrix K, in pixels of an image of the size
    `size`."""
    if value is None or _is_unknown(value):
        return None
    matrix = _array(value, (3, 3), "K")
    x_scale, y_scale = (1.0, 1.0) if size is None else (shown[0] / size[0], shown[1] / size[1])
    return [
        float(matrix[0, 0] * x_scale), float(matrix[1, 1] * y_scale),
        float(matrix[0, 2] * x_scale), float(matrix[1, 2] * y_scale),
    ]  # fmt: skip
