"""Annotated objects as questions and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from curate.compose.grounding import templates as words
from curate.compose.grounding.choice import Draws, draws
from curate.compose.grounding.one_image import one_image
from curate.compose.grounding.rendering import Style, What, rendered
from curate.compose.grounding.templates import EVERYTHING, FORMS, TEMPLATES, By, Template, Templates
from curate.compose.grounding.turns import Segment, Turn, added, rewritten
from curate.compose.grounding.written import Groups, Most, Order, Writing, Written, by_name, written
from manifests.errors import RowError
from manifests.geometry.angles import QWEN3_ANGLES, Angles
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize
from manifests.media import Media
from manifests.record.objects import Objects, flat_objects
from manifests.step import Outcome, RowStep, reasons

TOLD = {"boxes": "boxes", "points": "points", "boxes_3d": "3D boxes"}
_Question = tuple[str | None, list[tuple[int, str | None]]]
"""What a question names (nothing: every object), and the objects of its answer with the label
that each has there."""


class _Known(NamedTuple):
    groups: Groups
    labels: list[str | None]
    numbers: Written

    def rank(self, at: int) -> int:
        return self.numbers.rank[at]


class _Asked(NamedTuple):
    """What a record says now, of how many questions and objects; or why it cannot."""

    content: list[Segment]
    queries: int
    answered: int
    fault: str | None = None


class GroundingText(RowStep):
    """Write the objects of a record as a conversation: questions about its image, with answers.

    By `category` one question names all labels, in random order; by `label` there is one for each;
    by `expression` one for each `text` of an object, and the answer says the object's label or,
    where it has none, the expression. Every answer holds all objects that have the name; a name
    one of whose objects has no box (point, 3D box) is not asked for, nor is one left over by
    `max_queries`. `queries` is how many questions a record got, `answered` how many objects their
    answers hold, `unasked` how many objects are in none.

    Styles: `qwen3` is the JSON of Qwen3-VL, in thousandths of the image; `qwen2.5` the same in
    pixels after `smart_resize`; `xml` Qwen2.5-VL's `<points>`; `tags` Qwen-VL's `<ref>` and
    `<box>`. Of 3D boxes metres and angles are written, with two decimals. Rounding is half to
    even, and happens only here.

    The text that a record had is kept in `raw_text`. A record without objects is dropped, or with
    `empty: keep` asked for all objects and answered by an empty list; one whose objects have
    nothing of what is asked for is dropped. What is asked in which words is a hash of `seed` and
    the record's id.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        "queries": pa.int32(),
        "answered": pa.int32(),
        "unasked": pa.int32(),
    }
    rewrites: ClassVar[tuple[str, ...]] = ("content", "raw_text")

    style: Style = Field("qwen3", description="how answers are written")
    what: What = Field("boxes", description="what answers hold")
    by: By = Field("category", description="what a question names")
    most: Most = None
    order: Order = "reading"
    max_queries: PositiveInt | None = Field(
        None, description="questions of a record at most; which ones is random"
    )
    templates: Templates = None
    turns: Literal["replace", "add"] = Field(
        "replace", description="a conversation that a record has already is replaced or added to"
    )
    empty: Literal["drop", "keep"] = Field(
        "drop", description="what becomes of a record without objects"
    )
    resize: Resize = Field(QWEN2_5_RESIZE, description="of pixels: settings of `smart_resize`")
    angles: Angles = Field(QWEN3_ANGLES, description="of 3D boxes: how angles are written")
    seed: int = Field(0, description="another one asks in other words")

    @model_validator(mode="after")
    def _written(self) -> GroundingText:
        words.check_asked(self.style, self.what, self.templates, self._place)
        return self

    @property
    def _place(self) -> Literal["labels", "expression"]:
        return "expression" if self.by == "expression" else "labels"

    @property
    def _templates(self) -> tuple[Template, ...]:
        if self.templates is not None:
            return tuple(Template(text) for text in self.templates)
        return TEMPLATES[FORMS[self.style], self.what, self._place]

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects, records = flat_objects(batch["objects"]), batch.num_rows
        image = one_image(batch, objects)
        how = Writing(self.style, self.what, self.most, self.order, self.resize, self.angles)
        numbers = written(objects, image, how)
        names = objects.field("text" if self.by == "expression" else "label").to_pylist()
        groups = by_name(objects, names, numbers.has, numbers.order, records)
        drop = pc.coalesce(image.lacks, self._drops(objects, numbers, groups))
        goes = pc.or_(drop.is_valid(), numbers.error.is_valid())
        known = _Known(groups, objects.field("label").to_pylist(), numbers)
        rows = np.flatnonzero(~np.asarray(goes)).tolist()
        asked = self._asked(batch, known, image.media.tolist(), rows)
        having = np.bincount(objects.rows, minlength=records)
        return _outcome(batch, asked, having, drop, numbers.error)

    def _drops(self, objects: Objects, numbers: Written, groups: Groups) -> pa.Array:
        records = len(groups)
        some = np.bincount(objects.rows, minlength=records) > 0
        whole = np.bincount(objects.rows[numbers.has], minlength=records) > 0
        asked = np.array([bool(group) for group in groups], bool)
        return reasons(
            records,
            (~some & (self.empty == "drop"), "no objects"),
            (some & ~whole, f"no {TOLD[self.what]}"),
            (some & ~asked, "no expression" if self.by == "expression" else "no label"),
        )

    def _asked(
        self, batch: pa.Table, known: _Known, images: list[int], rows: list[int]
    ) -> dict[int, _Asked]:
        """What each record is asked; row by row, since no two are asked the same."""
        choices = draws(batch["id"], self.seed, "grounding_text")
        before = batch["content"].to_pylist() if self.turns == "add" else [[]] * batch.num_rows
        asked = {}
        for row in rows:
            try:
                turns, answered = self._turns(known, row, choices[row])
                content = added(before[row], images[row], turns, choices[row])
                asked[row] = _Asked(content, len(turns), answered)
            except RowError as error:
                asked[row] = _Asked([], 0, 0, error.fault)
        return asked

    def _turns(self, known: _Known, row: int, draws: Draws) -> tuple[list[Turn], int]:
        """The questions with their answers, and how many objects those hold."""
        turns, answered = [], 0
        for name, named in self._questions_of(known, row, draws):
            asked = draws.one(EVERYTHING[self.what] if name is None else self._templates)
            answer = rendered(self.style, self.what, known.numbers.shown(named))
            turns.append(Turn(asked.about(name or ""), answer))
            answered += len(named)
        return turns, answered

    def _questions_of(self, known: _Known, row: int, draws: Draws) -> Iterator[_Question]:
        """What is asked; a record that is here without a name to ask for has no objects."""
        group, labels = known.groups[row], known.labels
        if not group:
            yield None, []
        elif self.by == "category":
            every = sorted((at for some in group.values() for at in some), key=known.rank)
            yield ", ".join(draws.shuffled(list(group))), [(at, labels[at]) for at in every]
        else:
            for name in draws.some(list(group), self.max_queries or len(group)):
                yield name, [(at, labels[at] or name) for at in group[name]]


def _outcome(
    batch: pa.Table,
    asked: dict[int, _Asked],
    having: np.ndarray,
    drop: pa.Array,
    error: pa.Array,
) -> Outcome:
    """`having`: how many objects each record has."""
    told = np.zeros((len(having), 2), np.int32)
    faults: list[str | None] = [None] * len(having)
    for row, one in asked.items():
        told[row], faults[row] = (one.queries, one.answered), one.fault
    measures: dict[str, pa.Array] = {
        "queries": pa.array(told[:, 0]),
        "answered": pa.array(told[:, 1]),
        "unasked": pa.array((having - told[:, 1]).astype(np.int32)),
    }
    contents = {row: one.content for row, one in asked.items() if one.fault is None}
    error = pc.coalesce(error, pa.array(faults, pa.string()))
    return Outcome(measures | rewritten(batch, contents), drop, error)
