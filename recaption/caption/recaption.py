"""The step `recaption`: a vision-language model rewrites captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests import record
from manifests.errors import RowError
from manifests.models.language_model import model_file
from manifests.step import (
    Bound,
    Context,
    Location,
    Measured,
    Reply,
    Request,
    RowErrors,
    reasons,
)
from recaption.checks import Asked, kept_names, kept_numbers, text_fault
from recaption.prompts import Prompt, PromptedStep
from recaption.records import Caption, captions
from recaption.reply_measures import REPLY_MEASURES, reply_measures

REWRITTEN, NO_IMAGE = "rewritten", "no image"
_NO_CAPTION = RowError(
    "the record is not a caption: it has roles, several texts, or a video",
    fix="Limit the step, for example with `only: {modality: caption}`.",
)


class Recaption(PromptedStep):
    """Let a vision-language model rewrite the caption of each image, with the old text as context.

    The model gets the images and the text of a record. It must reply in the record's language, if
    this language is known and the prompt asks for it. The reply becomes the text of the record, and
    the old text goes to `raw_text`, unless `raw_text` is set already. The model is not asked about
    a record without an image. A record with roles, with several texts or with a video is
    quarantined.

    A reply is bad if it is empty, cut off by `max_tokens`, a refusal, a copy of the old text or of
    the prompt, or in the wrong language; if it is shorter or longer than the prompt allows; or if
    it repeats itself or has more than the answer, such as a preamble. After a bad reply, the model
    is asked once more, with the next `seed`. If the second reply is bad too, the record keeps its
    text, and `status` is the fault of this reply. Otherwise `status` is `rewritten`, or `no image`
    for a record without an image.

    `bad_replies: drop` drops the records whose second reply was bad too. If only `bad_replies`
    changes, the model is not asked again. `model` is the name that the endpoint states for the
    model that wrote the text. `kept_numbers` and `kept_names` are the shares of the old text's
    numbers and names that the new text contains; null if the old text has none.

    `prompt` is `caption`, `knowledge`, `ocr_refinement` or `video` (frames of a video), which come
    with this package, or the path of a YAML file with the same fields. Replies are stored in the
    folder `journal`, and a request whose reply is stored there is not sent again. See
    docs/models-in-the-loop.md.
    """

    version: ClassVar[int] = 3
    rewrites: ClassVar[tuple[str, ...]] = ("content", "raw_text")

    prompt: Annotated[str, Location()] = Field(
        "caption",
        description="`caption`, `knowledge`, `ocr_refinement`, `video`, or the path of a YAML file",
    )
    bad_replies: Annotated[Literal["keep", "drop"], Bound()] = Field(
        "keep", description="keep or drop records with a bad reply"
    )

    def reads(self) -> tuple[str, ...]:
        return ("content", "media", "language", "raw_text")

    def measures(self) -> dict[str, pa.DataType]:
        return {**REPLY_MEASURES, "kept_numbers": pa.float64(), "kept_names": pa.float64()}

    def files(self, base: str) -> tuple[str, ...]:
        return (*super().files(base), model_file())

    def requests(self, batch: pa.Table, context: Context) -> list[Request | None]:
        prompt: Prompt = context.model
        languages = batch["language"].to_pylist()
        return [
            None if one is None or not one.images else _request(prompt, one, language)
            for one, language in zip(captions(batch), languages, strict=True)
        ]

    def fault(self, request: Request, reply: Reply) -> str | None:
        return text_fault(reply, request.notes["asked"])

    def answer(self, batch: pa.Table, replies: Sequence[Reply | None]) -> Measured:
        errors, asked = RowErrors(batch.num_rows), captions(batch)
        for row, caption in enumerate(asked):
            if caption is None:
                errors.add(row, _NO_CAPTION)
        texts = [None if r is None or r.fault else r.text.strip() for r in replies]
        kept = _kept(asked, texts, batch["language"].to_pylist())
        status = [NO_IMAGE if r is None else r.fault or REWRITTEN for r in replies]
        about = reply_measures([() if r is None else (r,) for r in replies], status)
        return Measured({**about, **kept, **_rewritten(batch, texts)}, errors)

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.bad_replies == "keep":
            return None
        good = pc.is_in(measured["status"], pa.array([REWRITTEN, NO_IMAGE]))
        return reasons(measured.num_rows, (pc.invert(good), "bad reply"))


def _request(prompt: Prompt, caption: Caption, language: str | None) -> Request:
    text = prompt.filled({"raw_text": caption.text}, language, has_text=bool(caption.text))
    asked = Asked(
        caption.text,
        prompt.pieces(),
        prompt.expects,
        language if prompt.asks_for_language else None,
    )
    messages = prompt.messages(*caption.images, text)
    return Request(messages, prompt.title, notes={"asked": asked})


def _kept(
    captions: Sequence[Caption | None], texts: Sequence[str | None], languages: Sequence[str | None]
) -> dict[str, pa.Array]:
    """Returns the measures `kept_numbers` and `kept_names`: for each record, the shares of the
    numbers and names in its old text that the new text contains."""
    rows = [
        (None, None)
        if caption is None or text is None
        else (kept_numbers(caption.text, text), kept_names(caption.text, text, language))
        for caption, text, language in zip(captions, texts, languages, strict=True)
    ]
    return {
        "kept_numbers": pa.array([numbers for numbers, _ in rows], pa.float64()),
        "kept_names": pa.array([names for _, names in rows], pa.float64()),
    }


def _rewritten(batch: pa.Table, texts: list[str | None]) -> dict[str, pa.Array]:
    """Returns the columns `content` and `raw_text` with the new texts. A record whose new text is
    None does not change."""
    content = record.one_chunk(batch["content"])
    new = [
        old if text is None else _with_text(old, text)
        for old, text in zip(content.to_pylist(), texts, strict=True)
    ]
    before = record.texts(content)
    old_text = pc.if_else(pc.equal(before, ""), None, before)
    raw = record.one_chunk(batch["raw_text"])
    is_new = pa.array([text is not None for text in texts])
    kept = pc.if_else(is_new, pc.coalesce(raw, old_text), raw)
    return {"content": pa.array(new, content.type), "raw_text": kept}


def _with_text(content: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Returns the segments of a record with the new text in place of the old one, or at the end if
    there is no old one."""
    if any(one["kind"] == "text" for one in content):
        return [{**one, "text": text} if one["kind"] == "text" else one for one in content]
    segment = {"kind": "text", "text": text, "media": None, "role": None, "loss": True}
    return [*content, segment]
