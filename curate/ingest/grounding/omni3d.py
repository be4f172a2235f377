"""Omni3D: 3D boxes in metres on COCO's layout, with the camera of each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from curate.ingest.formats.json_fields import id_field, text_field
from curate.ingest.formats.json_object import first_element
from curate.ingest.grounding.annotations.coco_layout import CocoLayout, size_of
from curate.ingest.grounding.annotations.grounding_records import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.image_by_path_end import image_by_path_end
from curate.ingest.images import OpenedImage
from curate.ingest.reader import Context, Head
from manifests.errors import RowError
from manifests.geometry.cuboid import corners, euler_from_matrix
from manifests.geometry.shown_sizes import TRANSPOSED
from manifests.geometry.space import Space

BOXES = ("bbox2D_tight", "bbox2D_trunc", "bbox2D_proj")
"""In the order in which they are taken: annotated, projected and cut to the image, projected
(as the authors' own loader prefers them: cubercnn/util/math_util.py, `compute_priors`)."""
TOLERANCE = 0.02
"""Of a box's diagonal, how far its corners may be from the eight given ones (ours: rounding)."""
_IN_3D = ("bbox3D_cam", "center_cam", "dimensions", "R_cam")
_SPENT = ("image_id", "category_id", "category_name", *BOXES, *_IN_3D)
_SHAPES = {"center_cam": (3,), "dimensions": (3,), "R_cam": (3, 3), "bbox3D_cam": (8, 3)}


class Omni3d(CocoLayout):
    """Omni3D (KITTI, nuScenes, Objectron, SUN RGB-D, ARKitScenes, Hypersim in one layout).

    An entry of `images` is a record with all its annotations; its image is `file_path` below
    `media_root`, leading folders that are not there left out; `K` makes the camera, in pixels of
    the image as it is. `src_90_rotate`, `src_flagged` and its other fields go to `meta`.

    An annotation becomes an object: `category_name` is the label; the box is `bbox2D_tight`, else
    `bbox2D_trunc`, else `bbox2D_proj` (corners in pixels; -1 four times is none, and one projected
    of what is partly behind the camera is none), and the attribute `bbox2D` says which. Where
    `valid3D` is true, `center_cam`, `dimensions` and `R_cam` make `box3d`. `dimensions` are width,
    height, length; a box's own axes are length (x), height (y), width (z), so the size is stored
    in that order, and roll pitch yaw are those of `R_cam`. The eight corners of `bbox3D_cam` have
    to agree, else the annotation fails (`trust: true` takes it). `valid3D`, `visibility`,
    `truncation`, `behind_camera`, `lidar_pts`, `segmentation_pts`, `depth_error` and all other
    fields are attributes, but for those that are -1, which means that nobody knows.

    A record's key is the file's name and the image's id; what fails, and memory, are as in `coco`.
    """

    own_space: ClassVar[Space] = Space(form="xyxy", unit="pixel")

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = first_element(head, "annotations")
        return isinstance(first, dict) and {"valid3D", "center_cam"} <= first.keys()

    def sample(
        self, image: dict[str, Any], root: str, names: dict[str, str], context: Context
    ) -> AnnotatedImage:
        opened = image_by_path_end(root, text_field(image, "file_path"), context.media)
        meta = {k: v for k, v in image.items() if k not in ("id", "width", "height", "K")}
        size = size_of(image)
        camera = None
        if isinstance(opened, OpenedImage):
            camera = _camera(image.get("K"), size, _shown(opened, context))
        return AnnotatedImage("", opened, size=size, meta=meta, camera=camera)

    def parse_annotations(
        self, entries: Sequence[dict[str, Any]], names: dict[str, str]
    ) -> list[Annotation | RowError]:
        solids = _solids(entries, self.trust)
        found: list[Annotation | RowError] = []
        for number, annotation in enumerate(entries):  # each has fields of its own
            try:
                found.append(_annotation(annotation, names, solids.get(number)))
            except RowError as error:
                found.append(error)
        return found


class _Solid(NamedTuple):
    """What an annotation says of its object in 3D: metres, camera axes."""

    centre: np.ndarray
    size: np.ndarray
    turn: np.ndarray
    corners: np.ndarray | None


def _annotation(
    annotation: dict[str, Any], names: dict[str, str], solid: list[float] | RowError | None
) -> Annotation:
    if isinstance(solid, RowError):
        raise solid
    which, box = _box(annotation)
    label = annotation.get("category_name")
    if label is None:
        label = names.get(id_field(annotation, "category_id"))
    if not isinstance(label, str):
        raise RowError(f"no category_name, and no category {annotation.get('category_id')}")
    told = {} if which is None else {"bbox2D": which}
    rest = {k: v for k, v in annotation.items() if k not in _SPENT and not _unknown(v)}
    return Annotation(label, box=box, box3d=solid, attributes=told | rest)


def _box(annotation: dict[str, Any]) -> tuple[str | None, list[float] | None]:
    for name in BOXES:
        value = annotation.get(name)
        is_of_nothing = name == BOXES[-1] and annotation.get("behind_camera") is True
        if value is None or value == [] or value == [-1] * 4 or is_of_nothing:
            continue
        _array(value, (4,), name)
        return name.removeprefix("bbox2D_"), value
    return None, None


def _unknown(value: Any) -> bool:
    return type(value) in (int, float) and value == -1


def _solids(
    annotations: Sequence[dict[str, Any]], trust: bool
) -> dict[int, list[float] | RowError]:
    """`box3d` of the valid annotations by their place, or why one is none."""
    found: dict[int, list[float] | RowError] = {}
    solids: dict[int, _Solid] = {}
    for number, annotation in enumerate(annotations):
        if annotation.get("valid3D") is True:
            try:
                solids[number] = _solid(annotation)
            except RowError as error:
                found[number] = error
    if not solids:
        return found
    angles = euler_from_matrix(np.stack([solid.turn for solid in solids.values()]))
    boxes = np.concatenate([[(*s.centre, *s.size) for s in solids.values()], angles], axis=1)
    for (number, solid), box, made in zip(solids.items(), boxes, corners(boxes), strict=True):
        fault = None if trust else _contradiction(solid, made)
        found[number] = box.tolist() if fault is None else fault
    return found


def _solid(annotation: dict[str, Any]) -> _Solid:
    given = {
        name: _array(annotation.get(name), shape, name)
        for name, shape in _SHAPES.items()
        if annotation.get(name) is not None or name != "bbox3D_cam"
    }
    size = given["dimensions"][::-1]  # width height length, of the own axes z y x
    if (size <= 0).any():
        raise RowError(f"'dimensions' of a valid 3D box are {annotation['dimensions']!r:.80}")
    turn = np.clip(given["R_cam"], -2, 2)  # of a rotation none is over 1
    if not np.allclose(turn @ turn.T, np.eye(3), atol=TOLERANCE) or np.linalg.det(turn) < 0:
        raise RowError(f"'R_cam' is no rotation: {annotation['R_cam']!r:.120}")
    return _Solid(given["center_cam"], size, turn, given.get("bbox3D_cam"))


def _contradiction(solid: _Solid, made: np.ndarray) -> RowError | None:
    """Whether a given corner is far from every corner that the nine numbers make."""
    if solid.corners is None:
        return None
    with np.errstate(over="ignore"):  # of numbers that are nowhere near any image
        apart = np.linalg.norm(solid.corners[:, None] - made[None], axis=2)
        diagonal = float(np.linalg.norm(solid.size))
    worst = float(max(apart.min(axis=1).max(), apart.min(axis=0).max()))
    if worst <= TOLERANCE * diagonal:
        return None
    return RowError(
        f"a corner of 'bbox3D_cam' is {worst:.2f} m off those of center_cam, dimensions and R_cam.",
        fix="Fix the annotation, or set `trust: true` to take the latter.",
    )


def _array(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Numbers of that shape, as float64."""
    try:
        found = np.array(value)
    except ValueError:  # lists of different lengths
        found = np.empty(0)
    if found.shape != shape or found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise RowError(f"{name!r} is {value!r:.80}, not {' x '.join(map(str, shape))} numbers")
    return found.astype(np.float64)


def _shown(image: OpenedImage, context: Context) -> tuple[int, int]:
    size = image.header.width, image.header.height
    return size[::-1] if context.media.orientation(image.reference) in TRANSPOSED else size


def _camera(
    value: Any, size: tuple[float, float] | None, shown: tuple[int, int]
) -> list[float] | None:
    """fx fy cx cy in pixels of the image as it is shown, of K in pixels of the annotated one."""
    if value is None or _unknown(value):
        return None
    matrix = _array(value, (3, 3), "K")
    wide, high = (1.0, 1.0) if size is None else (shown[0] / size[0], shown[1] / size[1])
    return [
        float(matrix[0, 0] * wide), float(matrix[1, 1] * high),
        float(matrix[0, 2] * wide), float(matrix[1, 2] * high),
    ]  # fmt: skip
