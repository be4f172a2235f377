"""The step `label`: a model gives each record one label of a closed set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from manifests.step import (
    Bound,
    Context,
    Location,
    Measured,
    Reply,
    Request,
    RowRequests,
    reasons,
)
from manifests.step.spelling import nearest
from recaption.document_step import (
    DOCUMENT_MEASURES,
    DocumentStep,
    document_measures,
    not_documents,
)
from recaption.json_replies import fault_by
from recaption.label.classes import (
    OTHER,
    OTHER_DESCRIPTION,
    check_labels,
    label_of,
    labels_text,
    schema_of,
)

LABELLED, NOTHING = "labelled", "nothing to label"


class Label(DocumentStep):
    """Let a model give each record one label of a closed set, such as its topic.

    The model gets the texts and images of a record in their order, and the labels with their
    descriptions. With `other: true` it may also answer `other`. The measure `label` is the label as
    the recipe spells it. `shards.columns` exports the measure, for example to train a classifier.

    A reply must be JSON with one field, `label`, whose value is one of the labels. Case does not
    matter, nor do white space and punctuation at both ends; every other reply is bad. After a bad
    reply, the model is asked once more, with the next `seed`. If the second reply is bad too, the
    label is null, and `status` is the fault of this reply. Otherwise `status` is `labelled`. For a
    record without text and images, the model is not asked, and `status` is `nothing to label`. A
    record with roles or a video is quarantined.

    `keep` drops records with other labels, and `unlabelled` states whether records without a label
    are kept. If only these two settings change, the model is not asked again. At most the first
    `max_images` images and `max_chars` characters of a record are sent; `images_left_out` and
    `characters_left_out` count the rest. `prompt` is `label`, which comes with this package, or the
    path of a YAML file. See docs/models-in-the-loop.md.
    """

    placeholders: ClassVar[tuple[str, ...]] = (*DocumentStep.placeholders, "labels")

    prompt: Annotated[str, Location()] = Field(
        "label", description="name of a prompt of this package, or the path of a YAML file"
    )
    labels: dict[str, str] = Field(
        description="the labels, each with a description, which may be empty"
    )
    other: bool = Field(False, description="let the model answer `other` if no label fits")
    keep: Annotated[tuple[str, ...] | None, Bound()] = Field(
        None, min_length=1, description="labels whose records are kept; null: all"
    )
    unlabelled: Annotated[Literal["keep", "drop"], Bound()] = Field(
        "keep", description="keep or drop records without a label"
    )

    @model_validator(mode="after")
    def _are_a_closed_set(self) -> Self:
        if self.other and OTHER in self.labels:
            raise ValueError(f"`other: true` adds the label '{OTHER}', which `labels` has too")
        if len(self.all_labels()) < 2:
            raise ValueError("there must be two labels at least; `other: true` adds one")
        check_labels(self.all_labels())
        for name in self.keep or ():
            if name not in self.all_labels():
                fix = nearest(name, list(self.all_labels()))
                raise ValueError(f"`keep` names '{name}', which is not one of the labels. {fix}")
        return self

    def all_labels(self) -> dict[str, str]:
        return {**self.labels, OTHER: OTHER_DESCRIPTION} if self.other else self.labels

    def measures(self) -> dict[str, pa.DataType]:
        return {"label": pa.string(), **DOCUMENT_MEASURES}

    def requests(self, batch: pa.Table, context: Context) -> list[RowRequests]:
        labels = self.all_labels()
        values = {"labels": labels_text(labels), "format": '{"label": "..."}'}
        schema = schema_of(labels)
        languages = batch["language"].to_pylist()
        return [
            (self.document_request(context.model, one, language, values, schema),)
            if one is not None and one.parts
            else None
            for one, language in zip(self.documents(batch), languages, strict=True)
        ]

    def fault(self, request: Request, reply: Reply) -> str | None:
        return fault_by(lambda text: label_of(text, self.all_labels()), reply)

    def answer(self, batch: pa.Table, replies: Sequence[tuple[Reply, ...] | None]) -> Measured:
        documents, labels = self.documents(batch), self.all_labels()
        found = [
            None if own is None or own[0].fault else label_of(own[0].text, labels)
            for own in replies
        ]
        status = [NOTHING if own is None else own[0].fault or LABELLED for own in replies]
        columns = {
            "label": pa.array(found, pa.string()),
            **document_measures(documents, replies, status),
        }
        return Measured(columns, not_documents(documents))

    def decide(self, measured: pa.Table) -> pa.Array | None:
        rules = []
        if self.unlabelled == "drop":
            rules.append((measured["label"].is_null(), "no label"))
        if self.keep is not None:
            is_kept = pc.is_in(measured["label"], pa.array(self.keep))
            rules.append((pc.and_not(measured["label"].is_valid(), is_kept), "other label"))
        return reasons(measured.num_rows, *rules) if rules else None
