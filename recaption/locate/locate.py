"""The step `locate`: a vision-language model finds the boxes or points of objects in images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import Field, PositiveInt, model_validator

from manifests.media import Reference, references
from manifests.record import OBJECT, media_lists
from manifests.step import Context, Location, Measured, Reply, Request
from recaption.json_replies import fault_by
from recaption.locate.names import Question, questions
from recaption.locate.replies import Located, Wanted, What, objects_of, plain
from recaption.locate.spaces import ANYWHERE, ReplySpace, Size, reply_size, to_units
from recaption.prompts import Prompt, PromptedStep
from recaption.reply_measures import REPLY_MEASURES, reply_measures

LOCATED, NOTHING_FOUND = "located", "nothing found"
_EXAMPLES: dict[What, str] = {
    "boxes": '{"bbox_2d": [x1, y1, x2, y2], "label": "..."}',
    "points": '{"point_2d": [x, y], "label": "..."}',
}
_KINDS: dict[What, str] = {"boxes": "bbox", "points": "point"}


class Locate(PromptedStep):
    """Let a vision-language model find the boxes or points of objects by name or description.

    The model is asked about records with exactly one image. It looks for the names in `categories`,
    which are the same for each record, or for what `descriptions` states:

    - `labels`: the labels of the record's objects
    - `text`: the record's text, which describes one or several objects
    - a measure of an earlier step, such as `mine.names`: a name, or a list of names

    A name is not asked for if an object of the record with this label has a box (or point) already.
    The measure `found` has the objects found, with coordinates in [0,1000] of the upright image.
    The record is not changed. To add objects to the record, use two steps `locate`, with two models
    or two seeds, and the step `locate_agreement`, which compares their objects.

    `space` states the unit of the coordinates in the model's replies: 1/1000 of the image's width
    or height (`relative_1000`), pixels of the upright image as it is sent (`pixels_sent`), or
    pixels of that image after `smart_resize` with Qwen2.5-VL's settings (`pixels_resized`). The
    spaces of models are listed in docs/models-in-the-loop.md.

    A reply must be a JSON list, with or without a code fence, of `{"bbox_2d": [x1, y1, x2, y2],
    "label": ...}` or `{"point_2d": [x, y], "label": ...}`. Other keys are ignored. An empty list
    means that there is no such object. The whole reply is bad if one item has another form, has a
    label that was not asked for, is outside the image in `space`, is an inverted or empty box, or
    occurs more than 4 times. After a bad reply, the model is asked once more, with the next `seed`.

    `status` is `located`, `nothing found`, the fault of a second bad reply, or the reason why
    nothing was asked (`no image`, `several images`, `nothing to locate`). `asked` has the names
    that were asked for. `repeated` counts the objects of the reply that were left out because they
    equal an earlier one. `model_and_seed` is the model with its `revision` and seed;
    `locate_agreement` uses it to find out whether two steps got the same reply.
    """

    placeholders: ClassVar[tuple[str, ...]] = ("wanted", "kind", "example")

    what: What = Field("boxes", description="what the model reports: boxes or points")
    space: ReplySpace = Field(
        description="unit of the coordinates in the model's replies: 1/1000 of the image's "
        "width or height, pixels of the image as it is sent, or pixels after `smart_resize`"
    )
    categories: tuple[str, ...] = Field((), description="names to locate in each image")
    descriptions: str | None = Field(
        None,
        pattern=r"^(labels|text|[^.]+\..+)$",
        description="what to locate, in place of `categories`: `labels`, `text` or a measure such "
        "as `mine.names`",
    )
    prompt: Annotated[str, Location()] = Field(
        "locate", description="`locate`, or the path of a YAML file"
    )
    max_tokens: PositiveInt | None = Field(
        4096, description="most tokens of a reply; null: as many as the endpoint allows"
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Locate:
        if bool(self.categories) == (self.descriptions is not None):
            raise ValueError("set either `categories` or `descriptions`")
        names = [plain(name) for name in self.categories]
        if "" in names or len(set(names)) < len(names):
            raise ValueError("categories: a name is empty or occurs twice")
        return self

    def reads(self) -> tuple[str, ...]:
        own = {None: (), "labels": (), "text": ("content",)}
        measure = (self.descriptions,) if self.descriptions else ()
        return ("media", "objects", *own.get(self.descriptions, measure))

    def measures(self) -> dict[str, pa.DataType]:
        return {
            "found": pa.list_(OBJECT),
            "asked": pa.list_(pa.string()),
            "model_and_seed": pa.string(),
            "repeated": pa.int32(),
            **REPLY_MEASURES,
        }

    def requests(self, batch: pa.Table, context: Context) -> list[Request | None]:
        images = self._images(batch)
        return [
            None if image is None else self._request(question, image, context)
            for question, image in zip(self._questions(batch), images, strict=True)
        ]

    def fault(self, request: Request, reply: Reply) -> str | None:
        return fault_by(lambda text: objects_of(text, request.notes["wanted"]), reply)

    def answer(self, batch: pa.Table, replies: Sequence[Reply | None]) -> Measured:
        """Returns the measures of every row, as `RequestStep.answer` describes. The measure `found`
        still has the coordinates of the replies; the method `measure` converts them to [0,1000]."""
        asked = self._questions(batch)
        rows = [self._row(one, reply) for one, reply in zip(asked, replies, strict=True)]
        about = reply_measures(
            [() if reply is None else (reply,) for reply in replies],
            [row.get("status") for row in rows],
        )
        own = {
            name: pa.array([row.get(name) for row in rows], kind)
            for name, kind in self.measures().items()
            if name not in REPLY_MEASURES
        }
        return Measured({**own, **about})

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        made = super().measure(batch, context)
        found = made.columns["found"].to_pylist()
        for image, own in zip(self._images(batch), found, strict=True):
            if image is not None and own:
                size = reply_size(self.space, image, context.media, self.max_pixels)
                own[:] = [_in_units(one, size) for one in own]
        return made._replace(columns=made.columns | {"found": pa.array(found, pa.list_(OBJECT))})

    def _questions(self, batch: pa.Table) -> list[Question]:
        return questions(batch, self.categories, self.descriptions, self.what)

    def _images(self, batch: pa.Table) -> list[Reference | None]:
        """Returns the image of each record; None for a record about which the model is not
        asked."""
        offsets, flat = media_lists(batch["media"])
        images = references(flat)
        return [
            None if one.status else images[offsets[row] + one.media]
            for row, one in enumerate(self._questions(batch))
        ]

    def _request(self, question: Question, image: Reference, context: Context) -> Request:
        prompt: Prompt = context.model
        values = {"kind": _KINDS[self.what], "example": _EXAMPLES[self.what]}
        text = prompt.filled({**values, "wanted": _wanted(question)})
        size = reply_size(self.space, image, context.media, self.max_pixels)
        notes = {"wanted": Wanted(self.what, question.names, size)}
        return Request(prompt.messages(image, text), prompt.title, notes=notes)

    def _row(self, question: Question, reply: Reply | None) -> dict[str, Any]:
        """Returns `status` and the other measures of a record, except the rest of `REPLY_MEASURES`.
        A measure that is missing in the result is null."""
        if reply is None:
            return {"status": question.status}
        if reply.fault is not None:
            return {"status": reply.fault, "asked": question.names}
        found = objects_of(reply.text, Wanted(self.what, question.names, ANYWHERE))
        different = [*dict.fromkeys(found)]
        return {
            "found": [self._object(one, question) for one in different],
            "asked": question.names,
            "status": LOCATED if found else NOTHING_FOUND,
            "model_and_seed": self._model_and_seed(reply),
            "repeated": len(found) - len(different),
        }

    def _model_and_seed(self, reply: Reply) -> str:
        seed = "no seed" if self.seed is None else f"seed {self.seed + reply.number - 1}"
        return ", ".join(filter(None, (self.model, self.revision, seed)))

    def _object(self, located: Located, question: Question) -> dict[str, Any]:
        field = "box" if self.what == "boxes" else "point"
        text = question.description or None
        return {"label": located.name, "media": question.media, "text": text,
                field: located.numbers}  # fmt: skip


def _wanted(question: Question) -> str:
    """Returns the words of the prompt that state what to locate."""
    if question.description:
        return f"the description {json.dumps(question.description, ensure_ascii=False)}"
    listed = ", ".join(json.dumps(name, ensure_ascii=False) for name in question.names)
    return f"one of these categories (write it as the label, exactly as it is here): {listed}"


def _in_units(one: dict[str, Any], size: Size) -> dict[str, Any]:
    fields = {name: one[name] for name in ("box", "point") if one[name] is not None}
    return {**one, **{name: to_units(numbers, size) for name, numbers in fields.items()}}
