"""Records that teach to count, made of annotated objects."""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from curate.compose.grounding import templates as words
from curate.compose.grounding.choice import Draws, draws
from curate.compose.grounding.one_image import OneImage, one_image
from curate.compose.grounding.rendering import What, rendered
from curate.compose.grounding.templates import COUNTING, Template
from curate.compose.grounding.turns import Turn, conversation
from curate.compose.grounding.written import Groups, Most, Order, Writing, Written, by_name, written
from manifests import record
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize
from manifests.media import Media
from manifests.record.objects import Objects, flat_objects
from manifests.step import ReshapeStep

Form = Literal["direct", "boxes", "points"]


class Counting(ReshapeStep):
    """Make records that ask how many objects of a label an image has, beside those there are.

    Each label of a record, if it has `min` to `max` objects, becomes a record of its own: the
    image, one question, and an answer in one of the `forms` (Qwen3-VL report, section 3.2.4,
    names the three): `direct` is the number; `boxes` and `points` are the objects as JSON, and
    then their number in a line of its own. Which form is random among those that every object of
    the label has the numbers for. All records that came stay as they are. A new one has its
    parent's objects and measures, and an id that is a hash of its parent's, the label and the
    form. Which words and form is a hash of `seed` and the parent's id.

    Count only what the source annotates to the last instance. A label is not counted if one of
    its objects has an attribute of `uncountable` that is true: it stands for several, as COCO's
    crowds do. Put this behind steps that take out what is wrong or there twice, and before those
    that take out what is in the image, such as small objects; and let `grounding_text` behind
    it have `turns: add`, or it replaces these questions by its own.
    """

    forms: tuple[Form, ...] = Field(
        ("direct", "boxes", "points"), min_length=1, description="forms of answers, one of which"
    )
    min: PositiveInt = Field(1, description="objects of a label at least")
    max: PositiveInt = Field(20, description="objects of a label at most (ours)")
    max_labels: PositiveInt | None = Field(
        None, description="labels of a record that are counted at most; which ones is random"
    )
    style: Literal["qwen3", "qwen2.5"] = Field(
        "qwen3", description="how boxes and points are written, as in `grounding_text`"
    )
    most: Most = None
    order: Order = "reading"
    resize: Resize = Field(QWEN2_5_RESIZE, description="of pixels: settings of `smart_resize`")
    templates: dict[Form, tuple[str, ...]] = Field(
        {}, description="questions of your own instead of a form's, with {labels}"
    )
    uncountable: tuple[str, ...] = Field(
        ("iscrowd", "is_group_of", "IsGroupOf"),
        description="attributes of an object that stands for several",
    )
    seed: int = Field(0, description="another one asks in other words and forms")

    @model_validator(mode="after")
    def _sound(self) -> Counting:
        if self.min > self.max:
            raise ValueError(f"min: {self.min} is over max: {self.max}")
        for form, own in self.templates.items():
            if not own:
                raise ValueError(f"templates: none for {form}")
            words.check(own, "labels")
        return self

    def __call__(self, batch: pa.Table, media: Media) -> pa.Table:
        objects = flat_objects(batch["objects"])
        image = one_image(batch, objects)
        seen = _Seen(
            self._groups(objects, image, batch.num_rows),
            {what: self._written(objects, image, what) for what in ("boxes", "points")},
        )
        choices = draws(batch["id"], self.seed, "counting")
        made = [
            one
            for row in range(batch.num_rows)  # row by row: what is counted differs in each
            for one in self._of_record(row, seen, choices[row])
        ]
        return pa.concat_tables([batch, _records(batch, image, made)]) if made else batch

    def _groups(self, objects: Objects, image: OneImage, records: int) -> Groups:
        """The objects of every label that may be counted, in the order they are annotated in."""
        labels = objects.field("label").to_pylist()
        single = ~_stands_for_several(objects, self.uncountable)
        groups = by_name(objects, labels, single, np.arange(len(labels)), records)
        for row in np.flatnonzero(image.media < 0).tolist():
            groups[row] = {}
        return groups

    def _written(self, objects: Objects, image: OneImage, what: What) -> Written:
        how = Writing(self.style, what, self.most, self.order, self.resize)
        numbers = written(objects, image, how)
        unknown = np.asarray(numbers.error.is_valid())[objects.rows]
        return numbers._replace(has=numbers.has & ~unknown)

    def _of_record(self, row: int, seen: _Seen, draws: Draws) -> list[_Made]:
        group = seen.groups[row]
        counted = [name for name, some in group.items() if self.min <= len(some) <= self.max]
        chosen = draws.some(counted, len(counted) if self.max_labels is None else self.max_labels)
        made = []
        for name in chosen:
            feasible = [form for form in self.forms if seen.has(form, group[name])]
            if feasible:
                form = draws.one(feasible)
                turn = self._turn(form, name, group[name], seen, draws)
                made.append(_Made(row, name, form, turn))
        return made

    def _turn(self, form: Form, name: str, some: list[int], seen: _Seen, draws: Draws) -> Turn:
        own = self.templates.get(form)
        asked = draws.one(tuple(Template(text) for text in own) if own else COUNTING[form]).about(
            name
        )
        number = str(len(some))
        if form == "direct":
            return Turn(asked, number)
        numbers = seen.written[form]
        ordered = sorted(some, key=numbers.rank.__getitem__)
        listed = rendered(self.style, form, numbers.shown((at, name) for at in ordered))
        return Turn(asked, f"{listed}\n{number}")


class _Seen(NamedTuple):
    groups: Groups
    written: dict[What, Written]

    def has(self, form: Form, some: list[int]) -> bool:
        return form == "direct" or bool(self.written[form].has[some].all())


class _Made(NamedTuple):
    """A counting record, and the row of its parent."""

    row: int
    label: str
    form: Form
    turn: Turn

    @property
    def ordinal(self) -> int:
        """Of it among its parent's children: of what it is, so that no other step's is the same."""
        told = f"counting\0{self.form}\0{self.label}".encode()
        return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest(), "big")


def _stands_for_several(objects: Objects, names: tuple[str, ...]) -> np.ndarray:
    """(n,) bool. Only attributes that have one of the names in them are parsed: they are JSON."""
    several = np.zeros(len(objects.rows), bool)
    attributes = objects.field("attributes")
    for name in names:
        there = pc.match_substring(attributes, name).fill_null(False)
        for at in np.flatnonzero(np.asarray(there)).tolist():
            told = orjson.loads(attributes[at].as_py())
            several[at] |= isinstance(told, dict) and bool(told.get(name))
    return several


def _records(batch: pa.Table, image: OneImage, made: list[_Made]) -> pa.Table:
    """The new records: their parents' rows with another id and content."""
    out = batch.take(pa.array([one.row for one in made], pa.int64()))
    parents = out["id"].to_pylist()
    contents = [conversation(int(image.media[one.row]), [one.turn]) for one in made]
    text = record.texts(out["content"])
    raw = pc.coalesce(out["raw_text"], pc.if_else(pc.equal(text, ""), None, text))
    given = {
        "id": record.child_ids(parents, [one.ordinal for one in made]),
        "modality": pa.repeat("grounding", len(made)),
        "content": pa.array(contents, record.SCHEMA.field("content").type),
        "raw_text": raw,
    }
    for name, values in given.items():
        out = out.set_column(out.schema.get_field_index(name), out.schema.field(name), values)
    return out
