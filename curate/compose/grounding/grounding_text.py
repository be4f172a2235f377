"""The step `grounding_text`: annotated objects become questions and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from curate.compose.grounding import templates as words
from curate.compose.grounding.grounded_image import grounded_images, incomplete
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
from manifests import record
from manifests.errors import RowError
from manifests.geometry.angles import QWEN3_ANGLES, Angles
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize
from manifests.record.objects import Objects, flat_objects
from manifests.setting_values import completed
from manifests.step import Columns, Context, Measured, RowErrors, RowStep, reasons

GEOMETRY_NAMES = {"boxes": "boxes", "points": "points", "boxes_3d": "3D boxes"}
_Question = tuple[str | None, list[tuple[int, str | None]]]
"""A question before it is written: the name that it asks for (None: for every object), and the
index and label of each object in its answer."""


class _Prepared(NamedTuple):
    """The objects of a batch: grouped by the names in questions, labelled, and rendered.

    `labels` has the label that each object gets in an answer. `images` has, for each record, the
    index of the image that its questions are about, within the record's media.
    """

    groups: ObjectsByName
    labels: list[str | None]
    rendered: RenderedObjects
    images: list[int]

    def rank(self, index: int) -> int:
        return self.rendered.rank[index]


class _Conversation(NamedTuple):
    """The new content of a record, its number of questions, and its number of answered objects."""

    content: list[Segment]
    queries: int
    answered: int


class GroundingText(RowStep):
    """Turn the objects of a record into a conversation: questions about its image, with answers.

    `by` sets the questions:

    - `category`: one question for all labels, in random order
    - `label`: one question for each label
    - `expression`: one question for each `text` of an object; the answer has the object's label, or
      the expression if the object has no label

    Every answer contains all objects with the name in the question. A name is skipped if one of its
    objects has no box (or point, or 3D box). A label is also skipped if the source says that not
    all objects with this label are annotated (`curate.partial` in their attributes). Measures:
    `queries` counts the questions of a record, `answered` the objects in their answers, and
    `left_aside` its other objects; `no_question` is the reason why a record has no question, and
    null if it has a question.

    `style` sets the format of answers. For a cat in the middle of an image:

    - `qwen3`: Qwen3-VL's JSON, in thousandths of the image's width and height:
      `[{"bbox_2d": [250, 250, 750, 750], "label": "cat"}]`
    - `qwen2.5`: the same JSON, but in pixels after `smart_resize`
    - `xml`: Qwen2.5-VL's `<points>`, in pixels after `smart_resize`
    - `tags`: Qwen-VL's `<ref>cat</ref><box>(250,250),(750,750)</box>`

    3D boxes have metres and angles with two decimals. Numbers are rounded half to even; no earlier
    step rounds them.

    The old text of a record is kept in `raw_text`. A record without objects is dropped. Captions
    have no objects: if the recipe has other sources, write `only: {modality: grounding}` to keep
    their records. With `empty: keep`, a record without objects gets a question that asks for every
    object, and an empty list as the answer (a sentence in the styles `xml` and `tags`). A record is
    also dropped if it has no image, if its objects are on several images, if none of its objects
    has the box (or point, or 3D box) or the name that the questions need, and if an answer may lack
    an object: because the record lost an annotation when it was read (`curate.lost` in `meta`), or
    because the source looked only for some labels. A record whose answer the style cannot render is
    quarantined, such as one with an image of unknown size if coordinates are in pixels. The choice
    of templates and questions depends only on a hash of the recipe's seed and the record's id.
    """

    version: ClassVar[int] = 3
    rewrites: ClassVar[tuple[str, ...]] = ("content", "raw_text")
    uses_seed: ClassVar[bool] = True
    renamed: ClassVar[dict[str, str]] = {"most": "max_coordinate", "unasked": "left_aside"}

    style: Style = Field("qwen3", description="format of answers")
    what: Geometry = Field("boxes", description="what answers contain: boxes, points or 3D boxes")
    by: QuestionBy = Field(
        "category",
        description="what questions ask for: all categories at once, or each label or expression",
    )
    max_coordinate: MaxCoordinate = None
    order: Order = "reading"
    max_queries: PositiveInt | None = Field(
        None, description="maximum number of questions for a record, chosen at random; null: all"
    )
    templates: OwnTemplates = None
    turns: Literal["replace", "add"] = Field(
        "replace", description="replace the conversation that a record already has, or add to it"
    )
    empty: Literal["drop", "keep"] = Field(
        "drop", description="drop a record without objects, or keep it with an empty answer"
    )
    resize: Annotated[Resize, completed(QWEN2_5_RESIZE)] = Field(
        QWEN2_5_RESIZE,
        description="settings of `smart_resize`, for styles with coordinates in pixels",
    )
    angles: Annotated[Angles, completed(QWEN3_ANGLES)] = Field(
        QWEN3_ANGLES, description="convention of the angles of 3D boxes"
    )

    @model_validator(mode="after")
    def _check_settings(self) -> GroundingText:
        words.check_question_settings(self.style, self.what, self.templates, self._placeholder)
        words.check_pixel_settings(self.style, self.model_dump(exclude_unset=True))
        return self

    @property
    def _placeholder(self) -> Placeholder:
        return "expression" if self.by == "expression" else "labels"

    @property
    def _templates(self) -> tuple[Template, ...]:
        if self.templates is not None:
            return tuple(Template(text) for text in self.templates)
        return TEMPLATES[STYLE_FORMS[self.style], self.what, self._placeholder]

    def reads(self) -> tuple[str, ...]:
        return ("id", "objects", "media", "content", "raw_text", "meta")

    def measures(self) -> dict[str, pa.DataType]:
        counts = dict.fromkeys(("queries", "answered", "left_aside"), pa.int32())
        return {**counts, "no_question": pa.string()}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        objects, records = flat_objects(batch["objects"]), batch.num_rows
        images = grounded_images(batch, objects)
        options = RenderOptions(
            self.style, self.what, self.max_coordinate, self.order, self.resize, self.angles
        )
        rendered = render_objects(objects, images, options)
        names = objects.field("text" if self.by == "expression" else "label").to_pylist()
        partial = self._partial(objects)
        groups = group_by_name(
            objects, names, rendered.complete & ~partial, rendered.order, records
        )
        no_question = pc.coalesce(
            images.drop,
            incomplete(batch),
            self._unknown(batch, objects, partial, groups),
            self._no_question(objects, rendered, groups),
        )
        labels = objects.field("label").to_pylist()
        prepared = _Prepared(groups, labels, rendered, images.media.tolist())
        askable = pc.and_(no_question.is_null(), rendered.error.is_null())
        rows = np.flatnonzero(np.asarray(askable)).tolist()
        errors = RowErrors.where(rendered.error.to_pylist())
        conversations = self._conversations(batch, prepared, rows, context.seed, errors)
        columns = _counts(objects, conversations, records) | {"no_question": no_question}
        contents = {row: one.content for row, one in conversations.items()}
        return Measured(columns | replace_contents(batch, contents), errors)

    def decide(self, measured: pa.Table) -> pa.ChunkedArray:
        return measured["no_question"]

    def _no_question(
        self, objects: Objects, rendered: RenderedObjects, groups: ObjectsByName
    ) -> pa.Array:
        """Returns (records,) string: the reason why a record can have no question: it has no
        objects, none of its objects has the coordinates that an answer needs, or none has the name
        that a question needs. Null for a record that can have a question."""
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

    def _partial(self, objects: Objects) -> np.ndarray:
        """Returns (n,) bool: true for objects whose label is only partly annotated, so that other
        objects with this label may be missing. All are false if `by` is `expression`, because an
        expression refers only to its own objects."""
        if self.by == "expression":
            return np.zeros(len(objects.rows), bool)
        return record.with_true(objects.field("attributes"), [record.PARTIAL])

    def _unknown(
        self, batch: pa.Table, objects: Objects, partial: np.ndarray, groups: ObjectsByName
    ) -> pa.Array:
        """Returns (records,) string: the reason why a record gets no question because its
        annotations are incomplete: all its labels are only partly annotated, or it has no objects
        and only some labels were looked for in its image. Null for all other records."""
        records = len(groups)
        some = np.array([labels is not None for labels in record.known_absent(batch["meta"])], bool)
        is_partial = np.bincount(objects.rows[partial], minlength=records) > 0
        is_empty = np.bincount(objects.rows, minlength=records) == 0
        unnamed = np.array([not group for group in groups], bool)
        unknown = is_partial | (some & is_empty & (self.empty == "keep"))
        return reasons(records, (unnamed & unknown, record.INCOMPLETE))

    def _conversations(
        self, batch: pa.Table, prepared: _Prepared, rows: list[int], seed: int, errors: RowErrors
    ) -> dict[int, _Conversation]:
        """Returns a dict from row number to new conversation, for the given rows of the batch. If
        an answer cannot be rendered, an error is added to `errors` instead."""
        choices = random_choices(batch["id"], seed)
        before = batch["content"].to_pylist() if self.turns == "add" else [[]] * batch.num_rows
        conversations = {}
        for row in rows:
            try:
                turns, answered = self._turns(prepared, row, choices[row])
                content = add_turns(before[row], prepared.images[row], turns, choices[row])
                conversations[row] = _Conversation(content, len(turns), answered)
            except RowError as error:
                errors.add(row, error)
        return conversations

    def _turns(
        self, prepared: _Prepared, row: int, choices: RandomChoices
    ) -> tuple[list[Turn], int]:
        """Returns the questions of a record with their answers, and the number of objects in these
        answers."""
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
        """Yields the questions of a record, each with the objects in its answer. A question is the
        text of the names that it asks for, such as "cat, dog". A record without objects has no
        names: it gets one question, None, which asks for every object and has an empty answer.
        Records with objects but without names do not come here, because they are dropped."""
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


def _counts(objects: Objects, conversations: dict[int, _Conversation], records: int) -> Columns:
    """Returns three columns with a number for each record: `queries`, the number of its questions;
    `answered`, the number of its objects in answers; and `left_aside`, the number of its other
    objects. `conversations` has the conversation of each row that has one."""
    counts = np.zeros((records, 2), np.int32)
    for row, one in conversations.items():
        counts[row] = one.queries, one.answered
    left_aside = np.bincount(objects.rows, minlength=records) - counts[:, 1]
    return {
        "queries": pa.array(counts[:, 0]),
        "answered": pa.array(counts[:, 1]),
        "left_aside": pa.array(left_aside.astype(np.int32)),
    }
