"""The step `judge`: a model scores records by named criteria."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator, model_validator

from manifests.step import (
    Bound,
    Columns,
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
from recaption.documents import Document
from recaption.json_replies import fault_by
from recaption.judge.scores import (
    DOCUMENT_CRITERIA,
    HIGHEST,
    LOWEST,
    Score,
    check_names,
    criteria_text,
    format_text,
    schema_of,
    scores_of,
)
from recaption.prompts import Prompt

SCORED, NOTHING = "scored", "nothing to judge"
WITHOUT_IMAGES = "status_without_images"
Least = Annotated[int, Field(ge=LOWEST, le=HIGHEST)]
LeastDifference = Annotated[int, Field(ge=LOWEST - HIGHEST, le=HIGHEST - LOWEST)]
Scores = dict[str, Score] | None


class Judge(DocumentStep):
    """Let a model score each record by named criteria, from 1 to 5, with evidence for each score.

    The model gets the texts and images of a record in their order. The record is a caption or an
    interleaved document. The measure `<criterion>` is the score, a whole number, and
    `<criterion>_evidence` is the quote or the reason that the model gave for it. The default
    criteria are the four by which Qwen2.5-VL's interleaved documents were scored (report §2.2.1):
    the quality of the text, whether the images belong to the text, whether images and text each
    have information that the other lacks, and the balance of images and text. Their descriptions
    and the scale are ours. To use other criteria, set `criteria`: the name and the description of
    each criterion.

    A reply must be JSON with exactly the criteria, each with evidence and a whole number from 1 to
    5; "4" and 4.0 are bad. After a bad reply, the model is asked once more, with the next `seed`.
    If the second reply is bad too, the scores are null, and `status` is the fault of this reply.
    Otherwise `status` is `scored`. For a record without text and images, the model is not asked,
    and `status` is `nothing to judge`. A record with roles or a video is quarantined.

    `min` drops records with lower scores, and `unscored` states whether records without scores are
    kept. If only `min`, `min_visual_dependency` or `unscored` changes, the model is not asked
    again.

    With `visual_dependency: true`, the model is asked the same question again, without the images
    of the record. `<criterion>_visual_dependency` is the score with images minus the score without
    images (our definition). A difference of about 0 shows that a question about an image can be
    answered without the image. The difference is null for a record without an image or without a
    text. `status_without_images` is the status of the second question.

    At most the first `max_images` images and `max_chars` characters of a record are sent;
    `images_left_out` and `characters_left_out` count the rest. `prompt` is `judge`, which comes
    with this package, or the path of a YAML file. See docs/models-in-the-loop.md.
    """

    placeholders: ClassVar[tuple[str, ...]] = (*DocumentStep.placeholders, "criteria")

    prompt: Annotated[str, Location()] = Field(
        "judge", description="name of a prompt of this package, or the path of a YAML file"
    )
    criteria: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=lambda: dict(DOCUMENT_CRITERIA),
        min_length=1,
        description="what is scored: the name and the description of each criterion",
    )
    visual_dependency: bool = Field(
        False, description="ask again without the images, and measure the difference of the scores"
    )
    min: Annotated[dict[str, Least], Bound()] = Field(
        default_factory=dict,
        description="smallest score that is kept, by criterion, such as {text_quality: 3}",
    )
    min_visual_dependency: Annotated[dict[str, LeastDifference], Bound()] = Field(
        default_factory=dict,
        description="smallest difference that is kept, by criterion, such as {answered: 1}",
    )
    unscored: Annotated[Literal["keep", "drop"], Bound()] = Field(
        "keep", description="keep or drop records without scores"
    )

    @field_validator("criteria")
    @classmethod
    def _are_columns(cls, criteria: dict[str, str]) -> dict[str, str]:
        check_names(criteria, (*DOCUMENT_MEASURES, WITHOUT_IMAGES))
        return criteria

    @model_validator(mode="after")
    def _bounds_have_criteria(self) -> Self:
        for name in (*self.min, *self.min_visual_dependency):
            if name not in self.criteria:
                fix = nearest(name, list(self.criteria))
                raise ValueError(f"`criteria` does not have '{name}'. {fix}")
        if self.min_visual_dependency and not self.visual_dependency:
            raise ValueError("min_visual_dependency needs visual_dependency: true")
        return self

    def measures(self) -> dict[str, pa.DataType]:
        own: dict[str, pa.DataType] = {}
        for name in self.criteria:
            own |= {name: pa.int32(), f"{name}_evidence": pa.string()}
            if self.visual_dependency:
                own[f"{name}_visual_dependency"] = pa.int32()
        return {
            **own,
            **DOCUMENT_MEASURES,
            **({WITHOUT_IMAGES: pa.string()} if self.visual_dependency else {}),
        }

    def requests(self, batch: pa.Table, context: Context) -> list[RowRequests]:
        languages = batch["language"].to_pylist()
        return [
            self._requests(context.model, one, language)
            for one, language in zip(self.documents(batch), languages, strict=True)
        ]

    def _requests(
        self, prompt: Prompt, document: Document | None, language: str | None
    ) -> RowRequests:
        if document is None or not document.parts:
            return None
        asked = [document]
        if self.visual_dependency and document.has_image and document.without_images().parts:
            asked.append(document.without_images())
        values = {"criteria": criteria_text(self.criteria), "format": format_text(self.criteria)}
        schema = schema_of(self.criteria)
        return tuple(self.document_request(prompt, one, language, values, schema) for one in asked)

    def fault(self, request: Request, reply: Reply) -> str | None:
        return fault_by(lambda text: scores_of(text, self.criteria), reply)

    def answer(self, batch: pa.Table, replies: Sequence[tuple[Reply, ...] | None]) -> Measured:
        documents = self.documents(batch)
        first = [own[0] if own else None for own in replies]
        status = [NOTHING if one is None else one.fault or SCORED for one in first]
        scores = [self._scores(one) for one in first]
        columns = {**self._score_columns(scores), **document_measures(documents, replies, status)}
        if self.visual_dependency:
            second = [own[1] if own and len(own) > 1 else None for own in replies]
            columns |= self._differences(scores, second)
        return Measured(columns, not_documents(documents))

    def _scores(self, reply: Reply | None) -> Scores:
        return None if reply is None or reply.fault else scores_of(reply.text, self.criteria)

    def _score_columns(self, scores: Sequence[Scores]) -> Columns:
        made: Columns = {}
        for name in self.criteria:
            found = [None if one is None else one[name] for one in scores]
            made[name] = pa.array([None if s is None else s.score for s in found], pa.int32())
            evidence = [None if s is None else s.evidence for s in found]
            made[f"{name}_evidence"] = pa.array(evidence, pa.string())
        return made

    def _differences(self, scores: Sequence[Scores], replies: Sequence[Reply | None]) -> Columns:
        status = [None if one is None else one.fault or SCORED for one in replies]
        without = self._score_columns([self._scores(one) for one in replies])
        with_images = self._score_columns(scores)
        return {
            WITHOUT_IMAGES: pa.array(status, pa.string()),
            **{
                f"{name}_visual_dependency": pc.subtract(with_images[name], without[name])
                for name in self.criteria
            },
        }

    def decide(self, measured: pa.Table) -> pa.Array | None:
        rules = []
        if self.unscored == "drop":
            rules.append((pc.not_equal(measured["status"], SCORED), "no scores"))
        for name, least in self.min.items():
            rules.append((pc.less(measured[name], least), f"low {name}"))
        for name, least in self.min_visual_dependency.items():
            column = f"{name}_visual_dependency"
            rules.append((pc.less(measured[column], least), f"low {column}"))
        return reasons(measured.num_rows, *rules) if rules else None
