"""What a model is asked to locate in each record: names, or one description."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa

from manifests.record import one_chunk
from recaption.locate.replies import What, plain
from recaption.records import captions

LABELS, TEXT = "labels", "text"
NO_IMAGE, SEVERAL_IMAGES, NO_NAME = "no image", "several images", "nothing to locate"


class Question(NamedTuple):
    """What is asked about a record. `media` is the index of its image in the column `media`. The
    model looks for `names`, or for what `description` describes. `status` is the reason why nothing
    is asked; None if the model is asked."""

    media: int = -1
    names: tuple[str, ...] = ()
    description: str = ""
    status: str | None = None


def questions(
    batch: pa.Table, categories: tuple[str, ...], descriptions: str | None, what: What
) -> list[Question]:
    """Returns what is asked about each record. `batch` has the columns `media` and `objects`, and
    the column that `descriptions` needs: `content` for `text`, or the measure that it names."""
    texts, names = [""] * batch.num_rows, [categories] * batch.num_rows
    objects = batch["objects"].to_pylist()
    # Loops over rows: a request to a model costs far more than a row of Python objects.
    if descriptions == TEXT:
        texts = ["" if one is None else one.text for one in captions(batch)]
    elif descriptions == LABELS:
        names = [_labels(own) for own in objects]
    elif descriptions is not None:
        names = [_names(value) for value in one_chunk(batch[descriptions]).to_pylist()]
    kinds = [[one["kind"] for one in own] for own in batch["media"].to_pylist()]
    return [
        _question(own, _not_placed(asked, there, what), text)
        for own, asked, text, there in zip(kinds, names, texts, objects, strict=True)
    ]


def _question(kinds: list[str], names: tuple[str, ...], description: str) -> Question:
    if kinds.count("image") != 1:
        return Question(status=SEVERAL_IMAGES if "image" in kinds else NO_IMAGE)
    if not names and not description:
        return Question(status=NO_NAME)
    return Question(kinds.index("image"), names, description)


def _labels(objects: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(one["label"] for one in objects if one["label"])


def _names(value: Any) -> tuple[str, ...]:
    """Returns the names in a value of a measure: a string, a list of strings, or None."""
    listed = value if isinstance(value, list) else [value]
    return tuple(name for name in listed if name)


def _not_placed(
    names: tuple[str, ...], objects: list[dict[str, Any]], what: What
) -> tuple[str, ...]:
    """Returns the distinct names for which no object of the record has a box (or a point) yet."""
    field = "box" if what == "boxes" else "point"
    placed = {plain(one["label"]) for one in objects if one["label"] and one[field] is not None}
    different = {plain(name): name.strip() for name in reversed(names)}  # the first spelling
    keys = dict.fromkeys(map(plain, names))
    return tuple(different[key] for key in keys if key and key not in placed)
