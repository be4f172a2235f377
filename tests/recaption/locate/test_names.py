"""What is asked for in each record."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from manifests.record import MEDIA, OBJECT
from recaption.locate.names import Question, questions


def obj(label: str | None, **fields: Any) -> dict[str, Any]:
    return {**dict.fromkeys(f.name for f in OBJECT), "label": label, **fields}


def batch(
    objects: list[dict[str, Any]], kinds: tuple[str, ...] = ("image",), **columns: Any
) -> pa.Table:
    media = [{**dict.fromkeys(f.name for f in MEDIA), "kind": kind} for kind in kinds]
    given = {name: pa.array([value]) for name, value in columns.items()}
    return pa.table(
        {
            "media": pa.array([media], pa.list_(MEDIA)),
            "objects": pa.array([objects], pa.list_(OBJECT)),
            **given,
        }
    )


BOX, POINT = {"box": [1, 2, 3, 4]}, {"point": [1, 2]}


def test_labels_without_a_box_are_asked_for_once_and_in_their_order() -> None:
    own = [obj("Cat"), obj("dog", **POINT), obj("cat"), obj("sofa", **BOX), obj("Sofa"), obj(None)]
    assert questions(batch(own), (), "labels", "boxes") == [Question(0, ("Cat", "dog"))]
    assert questions(batch(own), (), "labels", "points") == [Question(0, ("Cat", "sofa"))]


def test_categories_that_have_a_box_already_are_not_asked_for() -> None:
    own = [obj("CAT", **BOX), obj("dog", **POINT)]
    assert questions(batch(own), ("cat", "dog"), None, "boxes") == [Question(0, ("dog",))]
    [nothing] = questions(batch(own), ("cat",), None, "boxes")
    assert nothing.status == "nothing to locate"


def test_a_measure_has_one_name_or_several() -> None:
    for value, names in (("cat", ("cat",)), (["dog", " ", "cat"], ("dog", "cat"))):
        [asked] = questions(batch([], **{"mine.names": value}), (), "mine.names", "boxes")
        assert asked == Question(0, names)


def test_only_records_with_one_image_are_asked_about() -> None:
    def status(*kinds: str) -> tuple[int, str | None]:
        [asked] = questions(batch([], kinds), ("cat",), None, "boxes")
        return asked.media, asked.status

    assert status() == (-1, "no image")
    assert status("video") == (-1, "no image")
    assert status("image", "image") == (-1, "several images")
    assert status("video", "image") == (1, None)
