"""Records of annotated images, and what a step makes of them, for tests."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from manifests import record
from manifests.media import Media
from manifests.step import RowStep
from tests.filters.rows import answers

NO_MEDIA = Media()
IMAGE = {"kind": "image", "uri": "a.jpg", "width": 640, "height": 428, "orientation": 1}
IMAGE_SEGMENT = {"kind": "image", "text": None, "media": 0, "role": "user", "loss": False}


def thing(label: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"label": label, "media": 0, **fields}


def boxed(label: str | None, *box: float, **fields: Any) -> dict[str, Any]:
    return thing(label, box=box, **fields)


def batch(*records: list[dict[str, Any]], **changes: Any) -> pa.Table:
    """Grounding records of one image each, with these objects."""
    content = [{"kind": "image", "media": 0, "loss": False}]
    rows = [
        {"key": str(n), "content": content, "media": [IMAGE], "objects": objects, **changes}
        for n, objects in enumerate(records)
    ]
    return record.from_rows(rows, "made", "grounding")


def said(segments: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The questions and answers of a record's content, whose form is checked."""
    texts = [one for one in segments if one["kind"] == "text"]
    assert [one["role"] for one in texts] == ["user", "assistant"] * (len(texts) // 2)
    assert [one["loss"] for one in texts] == [False, True] * (len(texts) // 2)
    told = [one["text"] for one in texts]
    return list(zip(told[::2], told[1::2], strict=True))


def turns(step: RowStep, table: pa.Table) -> list[list[tuple[str, str]]]:
    """What each record is asked and answered."""
    answered = answers(step, table)
    assert set(answered["error"]) <= {None}
    return [said(content) for content in answered["content"]]


def turns_of(step: RowStep, *objects: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    """What a record of these objects is asked and answered: the image comes first."""
    answered = answers(step, batch(list(objects), **changes))
    assert (answered["drop"], answered["error"]) == ([None], [None])
    [content] = answered["content"]
    assert content[0] == IMAGE_SEGMENT
    return said(content)
