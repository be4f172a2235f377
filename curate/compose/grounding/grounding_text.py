"""The step `grounding_text`: annotated objects become questions and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from curate.compose.grounding import templates as words
from curate.compose.grounding.grounded_image import grounded_images
from curate.compose.grounding.random_choices import RandomChoices, random_choices
from curate.compose.grounding.rendered_objects import (
    MaxCoordinate,
    ObjectsByName,
    Order,
    RenderedObjects,
    RenderOptions,
    group_by_name,
    render_objects,
)
from curate.compose.grounding.rendering import Geometry, Style, render_answer
from curate.compose.grounding.templates import (
    EVERY_OBJECT,
    STYLE_FORMS,
    TEMPLATES,
    OwnTemplates,
    Placeholder,
    QuestionBy,
    Template,
)
from curate.compose.grounding.turns import Segment, Turn, add_turns, replace_contents
from manifests.errors import RowError
from manifests.geometry.angles import QWEN3_ANGLES, Angles
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize
from manifests.media import Media
from manifests.record.objects import Objects, flat_objects
from manifests.step import Outcome, RowStep, reasons

GEOMETRY_NAMES = {"boxes": "boxes", "points": "points", "boxes_3d": "3D boxes"}
_Question = tuple[str | None, list[tuple[int, str | None]]]
"""The name in a question (None: every object), and the objects of its answer: index and label."""


class _Prepared(NamedTuple):
    """The objects of a batch: grouped by the names of questions, labelled, and rendered."""

    groups: ObjectsByName
    labels: list[str | None]
    rendered: RenderedObjects

    def rank(self, index: int) -> int:
        return self.rendered.rank[index]


class _Conversation(NamedTuple):
    """The new content of a record with its number of questions and of answered objects; or why
    there is none."""

    content: list[Segment]
    queries: int
    answered: int
    fault: str | None = None


class GroundingText(RowStep):
    """Turn the objects of a record into a conversation: questions about its image, with answers.

    `by` sets the questions:

    - `category`: one question for all labels, in random order
    - `label`: one question for each label
    - `expression`: one question for each `text` of an object; the answer has the object's label,
      or the expression if it has none

    Every answer contains all objects of the name that was asked for. A name is skipped if one of
    its objects has no box (or point, or 3D box). Measures: `queries` counts the questions of a
    record, `answered` the objects in their answers, and `left_aside` its other objects.

    `style` sets the format of answers. For a cat in the middle of an image:

    - `qwen3`: Qwen3-VL's JSON, in thousandths of the image:
      `[{"bbox_2d": [250, 250, 750, 750], "label": "cat"}]`
    - `qwen2.5`: the same in pixels after `smart_resize`
    - `xml`: Qwen2.5-VL's `<points>`, in pixels after `smart_resize`
    - `tags`: Qwen-VL's `<ref>cat</ref><box>(250,250),(750,750)</box>`

    3D boxes have metres and angles with two decimals. Numbers are rounded half to even; no
    earlier step rounds them.

    The old text of a record is kept in `raw_text`. A record without objects is dropped; with
    `empty: keep` it gets a question for every object, and an empty list as the answer. A record
    is also dropped if none of its objects has the box (or point, or 3D box) or the name that the
    questions need. The choice of templates and questions is a hash of `seed` and the record's id.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        "queries": pa.int32(),
        "answered": pa.int32(),
        "left_aside": pa.int32(),
    }
    rewrites: ClassVar[tuple[str, ...]] = ("content", "raw_text")
    renamed: ClassVar[dict[str, str]] = {"most": "max_coordinate", "unasked": "left_aside"}

    style: Style = Field("qwen3", description="format of answers")
    what: Geometry = Field("boxes", description="what answers contain: boxes, points or 3D boxes")
    by: QuestionBy = Field("category", description="what a question names")
    max_coordinate: MaxCoordinate = None
    order: Order = "reading"
    max_queries: PositiveInt | None = Field(
        None, description="most questions of a record, chosen at random; null: all"
    )
    templates: OwnTemplates = None
    turns: Literal["replace", "add"] = Field(
        "replace", description="replace the conversation that a record has, or add to it"
    )
    empty: Literal["drop", "keep"] = Field(
        "drop", description="drop a record without objects, or keep it with an empty answer"
    )
    resize: Resize = Field(
        QWEN2_5_RESIZE, description="settings of `smart_resize` for styles in pixels"
    )
    angles: Angles = Field(QWEN3_ANGLES, description="convention of the angles of 3D boxes")
    seed: int = Field(0, description="another seed chooses other templates and questions")

    @model_validator(mode="after")
    def _check_settings(self) -> GroundingText:
        words.check_question_settings(self.style, self.what, self.templates, self._placeholder)
        return self

    @property
    def _placeholder(self) -> Placeholder:
        return "expression" if self.by == "expression" else "labels"

    @property
    def _templates(self) -> tuple[Template, ...]:
        if self.templates is not None:
            return tuple(Template(text) for text in self.templates)
        return TEMPLATES[STYLE_FORMS[self.style], self.what, self._placeholder]

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects, records = flat_objects(batch["objects"]), batch.num_rows
        images = grounded_images(batch, objects)
        options = RenderOptions(
            self.style, self.what, self.max_coordinate, self.order, self.resize, self.angles
        )
        rendered = render_objects(objects, images, options)
        names = objects.field("text" if self.by == "expression" else "label").to_pylist()
        groups = group_by_name(objects, names, rendered.complete, rendered.order, records)
        drop = pc.coalesce(images.drop, self._drops(objects, rendered, groups))
        removed = pc.or_(drop.is_valid(), rendered.error.is_valid())
        prepared = _Prepared(groups, objects.field("label").to_pylist(), rendered)
        rows = np.flatnonzero(~np.asarray(removed)).tolist()
        conversations = self._conversations(batch, prepared, images.media.tolist(), rows)
        object_counts = np.bincount(objects.rows, minlength=records)
        return _outcome(batch, conversations, object_counts, drop, rendered.error)

    def _drops(
        self, objects: Objects, rendered: RenderedObjects, groups: ObjectsByName
    ) -> pa.Array:
        records = len(groups)
        has_objects = np.bincount(objects.rows, minlength=records) > 0
        complete = np.bincount(objects.rows[rendered.complete], minlength=records) > 0
        named = np.array([bool(group) for group in groups], bool)
        return reasons(
            records,
            (~has_objects & (self.empty == "drop"), "no objects"),
            (has_objects & ~complete, f"no {GEOMETRY_NAMES[self.what]}"),
            (has_objects & ~named, "no expression" if self.by == "expression" else "no label"),
        )

    def _conversations(
        self, batch: pa.Table, prepared: _Prepared, images: list[int], rows: list[int]
    ) -> dict[int, _Conversation]:
        """The conversations of some rows. Row by row, since each record has its own questions."""
        choices = random_choices(batch["id"], self.seed, "grounding_text")
        before = batch["content"].to_pylist() if self.turns == "add" else [[]] * batch.num_rows
        conversations = {}
        for row in rows:
            try:
                turns, answered = self._turns(prepared, row, choices[row])
                content = add_turns(before[row], images[row], turns, choices[row])
                conversations[row] = _Conversation(content, len(turns), answered)
            except RowError as error:
                conversations[row] = _Conversation([], 0, 0, error.fault)
        return conversations

    def _turns(
        self, prepared: _Prepared, row: int, choices: RandomChoices
    ) -> tuple[list[Turn], int]:
        """The questions of a record with their answers, and the number of objects in those."""
        turns, answered = [], 0
        for name, labelled in self._questions(prepared, row, choices):
            template = choices.choice(EVERY_OBJECT[self.what] if name is None else self._templates)
            listed = prepared.rendered.answer_objects(labelled)
            answer = render_answer(self.style, self.what, listed)
            turns.append(Turn(template.fill(name or ""), answer))
            answered += len(labelled)
        return turns, answered

    def _questions(
        self, prepared: _Prepared, row: int, choices: RandomChoices
    ) -> Iterator[_Question]:
        """The questions of a record. One without a name to ask for has no objects at all here:
        the others of these are dropped."""
        group, labels = prepared.groups[row], prepared.labels
        if not group:
            yield None, []
        elif self.by == "category":
            indices = [index for own in group.values() for index in own]
            labelled = [(index, labels[index]) for index in sorted(indices, key=prepared.rank)]
            yield ", ".join(choices.shuffled(list(group))), labelled
        else:
            for name in choices.sample(list(group), self.max_queries or len(group)):
                yield name, [(index, labels[index] or name) for index in group[name]]


def _outcome(
    batch: pa.Table,
    conversations: dict[int, _Conversation],
    object_counts: np.ndarray,
    drop: pa.Array,
    error: pa.Array,
) -> Outcome:
    """`object_counts` (records,): the number of objects of each record."""
    counts = np.zeros((len(object_counts), 2), np.int32)
    faults: list[str | None] = [None] * len(object_counts)
    for row, one in conversations.items():
        counts[row], faults[row] = (one.queries, one.answered), one.fault
    measures: dict[str, pa.Array] = {
        "queries": pa.array(counts[:, 0]),
        "answered": pa.array(counts[:, 1]),
        "left_aside": pa.array((object_counts - counts[:, 1]).astype(np.int32)),
    }
    contents = {row: one.content for row, one in conversations.items() if one.fault is None}
    error = pc.coalesce(error, pa.array(faults, pa.string()))
    return Outcome(measures | replace_contents(batch, contents), drop, error)
