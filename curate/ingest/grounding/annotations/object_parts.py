"""Joins several shapes to one annotation, if an annotation tool stores one object as several
shapes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import count
from typing import Any

from curate.ingest.grounding.annotations.annotation import Annotation


def join_parts(shapes: Iterable[tuple[Hashable, Annotation]]) -> list[Annotation]:
    """Joins all shapes with the same key to one annotation. `shapes` are pairs (key, annotation of
    the shape). The result has the order of the first shape of each key. A shape whose key is None
    becomes an annotation of its own."""
    unnamed = count()
    parts: dict[tuple[Hashable, int], list[Annotation]] = {}
    for key, shape in shapes:
        parts.setdefault((key, next(unnamed) if key is None else -1), []).append(shape)
    return [own[0] if len(own) == 1 else _joined(own) for own in parts.values()]


def box_around(rings: Sequence[Sequence[float]]) -> list[float]:
    """Returns the box x1 y1 x2 y2 around rings of x y x y ...: `[[0, 0, 9, 0, 9, 4]]` -> `[0, 0, 9,
    4]`."""
    xs = [x for ring in rings for x in ring[0::2]]
    ys = [y for ring in rings for y in ring[1::2]]
    return [min(xs), min(ys), max(xs), max(ys)]


def _joined(parts: Sequence[Annotation]) -> Annotation:
    """Joins the parts of one object to one annotation. The annotation has the rings of all parts
    and the box around all parts. If exactly one part has a point, the annotation has this point.

    An attribute that has the same value in all parts becomes an attribute of the object. The
    attribute `parts` has one entry for each part, with everything else: the other attributes of the
    part, its box if it has no rings, and its point if several parts have a point.
    """
    rings = [ring for part in parts for ring in part.polygon or ()]
    edges = [*rings, *(part.box for part in parts if part.box is not None)]
    points = [part.point for part in parts if part.point is not None]
    point = points[0] if len(points) == 1 else None
    given = [part.attributes or {} for part in parts]
    shared = {k: v for k, v in given[0].items() if all(k in own and own[k] == v for own in given)}
    own = [_own(part, shared, len(points) > 1) for part in parts]
    return Annotation(
        parts[0].label,
        box=box_around(edges) if edges else None,
        point=point,
        polygon=rings or None,
        attributes=shared | ({"parts": own} if any(own) else {}),
    )


def _own(part: Annotation, shared: dict[str, Any], with_point: bool) -> dict[str, Any]:
    own = {name: value for name, value in (part.attributes or {}).items() if name not in shared}
    box = {} if part.box is None or part.polygon else {"box": list(part.box)}
    return own | box | ({"point": list(part.point)} if with_point and part.point else {})
