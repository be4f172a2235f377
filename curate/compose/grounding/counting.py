"""The step `counting`: questions about the number of objects of a label."""

from __future__ import annotations

import hashlib
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from curate.compose.grounding import templates as words
from curate.compose.grounding.grounded_image import GroundedImages, grounded_images, incomplete
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
from curate.compose.grounding.rendering import Geometry, render_answer
from curate.compose.grounding.templates import COUNTING, Template
from curate.compose.grounding.turns import Turn, conversation
from manifests import record
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize
from manifests.record.objects import Objects, flat_objects
from manifests.setting_values import completed
from manifests.step import Context, Reshaped, ReshapeStep, reasons

CountForm = Literal["direct", "boxes", "points"]


class Counting(ReshapeStep):
    """Add records that ask how many objects of a label an image has.

    Each label of a record that has `min` to `max` objects becomes a new record: the image, one
    question, and an answer in one of the `forms` (named in the Qwen3-VL report, section 3.2.4). For
    a label `cup` with two objects:

    - `direct`: `2`
    - `boxes`: the boxes of both cups as JSON, then `2` on a separate line
    - `points`: the points of both cups as JSON, then `2` on a separate line

    The form is chosen at random among the forms for which every object of the label has
    coordinates. The original records stay unchanged. A new record has the objects and measures of
    its original, and an id that is a hash of the original's id, the label and the form. The choice
    of form and template depends only on a hash of the recipe's seed and the original's id.

    Use this step only for labels that the source annotates completely. A label is not counted if
    one of its objects has a true attribute named in `group_attributes`: such an object is a group
    of unknown number, like COCO's crowds. A label is not counted either if the source says that not
    all objects with this label are annotated (`curate.partial` in their attributes). A record that
    lost an annotation when it was read (`curate.lost` in `meta`) gets no question. The measure
    `no_question` is the reason why an original record got no question; it is null for all other
    records. Put this step after steps that remove wrong or duplicate objects, and before steps that
    remove objects which are visible, such as small objects. If `grounding_text` comes later, give
    it `turns: add`; otherwise it replaces the questions made here.
    """

    version: ClassVar[int] = 3
    uses_seed: ClassVar[bool] = True
    renamed: ClassVar[dict[str, str]] = {
        "most": "max_coordinate",
        "uncountable": "group_attributes",
    }

    forms: tuple[CountForm, ...] = Field(
        ("direct", "boxes", "points"),
        min_length=1,
        description="forms of answers, of which one is chosen at random",
    )
    min: PositiveInt = Field(1, description="smallest number of objects that questions ask for")
    max: PositiveInt = Field(
        20, description="largest number of objects that questions ask for (our choice)"
    )
    max_labels: PositiveInt | None = Field(
        None,
        description="maximum number of labels of a record to ask for, chosen at random; null: all",
    )
    style: Literal["qwen3", "qwen2.5"] = Field(
        "qwen3", description="format of boxes and points, as in `grounding_text`"
    )
    max_coordinate: MaxCoordinate = None
    order: Order = "reading"
    resize: Annotated[Resize, completed(QWEN2_5_RESIZE)] = Field(
        QWEN2_5_RESIZE,
        description="settings of `smart_resize`, for styles with coordinates in pixels",
    )
    templates: dict[CountForm, tuple[str, ...]] = Field(
        {},
        description=(
            "for each form, your own questions instead of the built-in ones; "
            "`{labels}` in them is replaced by the label"
        ),
    )
    group_attributes: tuple[str, ...] = Field(
        ("iscrowd", "is_group_of", "IsGroupOf", "isGroupOf", "ignore"),
        description="attributes that mark an object as a group of unknown number",
    )

    @model_validator(mode="after")
    def _check_settings(self) -> Counting:
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, but max is only {self.max}")
        words.check_pixel_settings(self.style, self.model_dump(exclude_unset=True))
        for form, own in self.templates.items():
            if not own:
                raise ValueError(
                    f"templates: the list for {form} is empty; leave it out for "
                    "the built-in questions"
                )
            words.check_templates(own, "labels")
        return self

    def measures(self) -> dict[str, pa.DataType]:
        return {"no_question": pa.string()}

    def reshape(self, batch: pa.Table, context: Context) -> Reshaped:
        objects = flat_objects(batch["objects"])
        images = grounded_images(batch, objects)
        unknown = pc.coalesce(images.drop, incomplete(batch))
        groups = self._countable(objects, unknown, batch.num_rows)
        prepared = _Prepared(
            groups,
            {geometry: self._rendered(objects, images, geometry) for geometry in _GEOMETRIES},
        )
        choices = random_choices(batch["id"], context.seed)
        added = [
            one
            for row in range(batch.num_rows)  # row by row: each record has its own labels
            for one in self._questions(row, prepared, choices[row])
        ]
        parents = np.array([*range(batch.num_rows), *(one.row for one in added)], np.int64)
        rows = [batch, _records(batch, images, added)] if added else [batch]
        asked = np.isin(np.arange(batch.num_rows), [one.row for one in added])
        why = pc.coalesce(unknown, reasons(batch.num_rows, (~asked, "no countable label")))
        measured = pa.concat_arrays([why, pa.nulls(len(added), pa.string())])
        return Reshaped(pa.concat_tables(rows), parents, {"no_question": measured})

    def _countable(self, objects: Objects, unknown: pa.Array, records: int) -> ObjectsByName:
        """Groups the objects of each record by label. A label is left out if its objects cannot be
        counted: one of them is a group of unknown number, or the label is only partly annotated.
        `unknown` has, for each record, a reason why nothing in the record can be counted, or null;
        a record with a reason gets no labels at all."""
        labels = objects.field("label").to_pylist()
        unknown_number = (*self.group_attributes, record.PARTIAL)
        single = ~record.with_true(objects.field("attributes"), unknown_number)
        groups = group_by_name(objects, labels, single, np.arange(len(labels)), records)
        for row in np.flatnonzero(unknown.is_valid()).tolist():
            groups[row] = {}
        return groups

    def _rendered(
        self, objects: Objects, images: GroundedImages, geometry: Geometry
    ) -> RenderedObjects:
        options = RenderOptions(self.style, geometry, self.max_coordinate, self.order, self.resize)
        rendered = render_objects(objects, images, options)
        failed = np.asarray(rendered.error.is_valid())[objects.rows]
        return rendered._replace(complete=rendered.complete & ~failed)

    def _questions(
        self, row: int, prepared: _Prepared, choices: RandomChoices
    ) -> list[_CountingRecord]:
        groups = prepared.groups[row]
        in_range = [name for name, own in groups.items() if self.min <= len(own) <= self.max]
        count = len(in_range) if self.max_labels is None else self.max_labels
        added = []
        for name in choices.sample(in_range, count):
            possible = [form for form in self.forms if prepared.has(form, groups[name])]
            if possible:
                form = choices.choice(possible)
                turn = self._turn(form, name, groups[name], prepared, choices)
                added.append(_CountingRecord(row, name, form, turn))
        return added

    def _turn(
        self,
        form: CountForm,
        name: str,
        indices: list[int],
        prepared: _Prepared,
        choices: RandomChoices,
    ) -> Turn:
        own = self.templates.get(form)
        templates = tuple(Template(text) for text in own) if own else COUNTING[form]
        question = choices.choice(templates).fill(name)
        number = str(len(indices))
        if form == "direct":
            return Turn(question, number)
        rendered = prepared.rendered[form]
        ordered = sorted(indices, key=rendered.rank.__getitem__)
        listed = rendered.answer_objects((index, name) for index in ordered)
        return Turn(question, f"{render_answer(self.style, form, listed)}\n{number}")


_GEOMETRIES: tuple[Geometry, ...] = ("boxes", "points")


class _Prepared(NamedTuple):
    """The objects of a batch: grouped by label, and rendered as boxes and as points."""

    groups: ObjectsByName
    rendered: dict[Geometry, RenderedObjects]

    def has(self, form: CountForm, indices: list[int]) -> bool:
        """Returns whether all objects at these indices have the coordinates that the form of the
        answer needs."""
        return form == "direct" or bool(self.rendered[form].complete[indices].all())


class _CountingRecord(NamedTuple):
    """A new record with a question and its answer (`turn`), for one label. `row` is the row of its
    original record in the batch."""

    row: int
    label: str
    form: CountForm
    turn: Turn

    @property
    def ordinal(self) -> int:
        """A number that distinguishes this new record from all other records that are made from the
        same original record. It is a hash and not a running number, because other steps may also
        make records from the same original record."""
        key = f"counting\0{self.form}\0{self.label}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


def _records(batch: pa.Table, images: GroundedImages, added: list[_CountingRecord]) -> pa.Table:
    """Returns the new records: each is a copy of the row of its original record, with a new id and
    new content."""
    out = batch.take(pa.array([one.row for one in added], pa.int64()))
    parents = out["id"].to_pylist()
    contents = [conversation(int(images.media[one.row]), [one.turn]) for one in added]
    text = record.texts(out["content"])
    raw = pc.coalesce(out["raw_text"], pc.if_else(pc.equal(text, ""), None, text))
    columns = {
        "id": record.child_ids(parents, [one.ordinal for one in added]),
        "modality": pa.repeat("grounding", len(added)),
        "content": pa.array(contents, record.SCHEMA.field("content").type),
        "raw_text": raw,
    }
    for name, values in columns.items():
        out = out.set_column(out.schema.get_field_index(name), out.schema.field(name), values)
    return out
