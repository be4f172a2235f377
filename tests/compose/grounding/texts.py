"""Records of annotated images, and the questions and answers of steps on them, for tests."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from manifests import record
from manifests.step import RowStep
from tests.filters.rows import answers

IMAGE = {"kind": "image", "uri": "a.jpg", "width": 640, "height": 428, "orientation": 1}
IMAGE_SEGMENT = {"kind": "image", "text": None, "media": 0, "role": "user", "loss": False}


def an_object(label: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"label": label, "media": 0, **fields}


def with_box(label: str | None, *box: float, **fields: Any) -> dict[str, Any]:
    return an_object(label, box=box, **fields)


def batch(*records: list[dict[str, Any]], **changes: Any) -> pa.Table:
    """Grounding records of one image each, with these objects."""
    content = [{"kind": "image", "media": 0, "loss": False}]
    rows = [
        {"key": str(n), "content": content, "media": [IMAGE], "objects": objects, **changes}
        for n, objects in enumerate(records)
    ]
    return record.from_rows(rows, "made", "grounding")


def questions_and_answers(segments: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The questions and answers of a record's content; it also checks their form."""
    texts = [one for one in segments if one["kind"] == "text"]
    assert [one["role"] for one in texts] == ["user", "assistant"] * (len(texts) // 2)
    assert [one["loss"] for one in texts] == [False, True] * (len(texts) // 2)
    strings = [one["text"] for one in texts]
    return list(zip(strings[::2], strings[1::2], strict=True))


def turns(step: RowStep, table: pa.Table, seed: int = 0) -> list[list[tuple[str, str]]]:
    """The questions and answers of each record."""
    answered = answers(step, table, seed=seed)
    assert set(answered["error"]) <= {None}
    return [questions_and_answers(content) for content in answered["content"]]


def turns_of(step: RowStep, *objects: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    """The questions and answers of one record with these objects; the image comes first."""
    answered = answers(step, batch(list(objects), **changes))
    assert (answered["drop"], answered["error"]) == ([None], [None])
    [content] = answered["content"]
    assert content[0] == IMAGE_SEGMENT
    return questions_and_answers(content)
