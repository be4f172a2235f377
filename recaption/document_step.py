"""The base class of request steps about a whole record: its texts and its images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field, NonNegativeInt, PositiveInt

from manifests.errors import RecipeError, RowError
from manifests.media import Reference
from manifests.step import Columns, Reply, Request, RowErrors, Worker
from recaption.documents import Document, documents
from recaption.prompts import Prompt, PromptedStep, prompt_file
from recaption.reply_measures import REPLY_MEASURES, reply_measures

_DOCUMENT = "\0"
"""A character that no prompt has. It stands in the filled prompt where the document is sent."""
_NO_DOCUMENT = RowError(
    "the record is no document: it has roles or a video",
    fix="Limit the step, for example with `only: {modality: [caption, interleaved]}`.",
)


class DocumentStep(PromptedStep):
    """A step that asks about the texts and images of a record, in order, for a reply in JSON. The
    prompt has the placeholder {document} where the record is sent."""

    placeholders: ClassVar[tuple[str, ...]] = ("document", "format", "language")

    max_images: NonNegativeInt = Field(
        16, description="images of a record that are sent, from the first; the others are counted"
    )
    max_chars: PositiveInt = Field(
        20_000,
        description="characters of a record that are sent, from the first; the others are counted",
    )
    structured: bool = Field(
        True,
        description="send the JSON Schema of the reply; false: the prompt alone states the form, "
        "for endpoints without structured output",
    )

    def reads(self) -> tuple[str, ...]:
        return ("content", "media", "language")

    def load(self, worker: Worker) -> Prompt:
        prompt: Prompt = super().load(worker)
        texts = [text for text in (prompt.text, prompt.without_text) if text]
        if any(text.count("{document}") != 1 for text in texts):
            place = prompt_file(self.prompt, worker.base)
            fix = "Write it once in `text`, where the texts and images of the record belong."
            raise RecipeError(
                "the prompt does not have the placeholder {document} once", place, fix
            )
        return prompt

    def documents(self, batch: pa.Table) -> list[Document | None]:
        return documents(batch, self.max_images, self.max_chars)

    def document_request(
        self,
        prompt: Prompt,
        document: Document,
        language: str | None,
        values: Mapping[str, str],
        schema: Mapping[str, Any],
    ) -> Request:
        """Returns the request about a document. `values` are the placeholders of the prompt, other
        than {document} and {language}."""
        values = {**values, "document": _DOCUMENT}
        before, _, after = prompt.filled(values, language, bool(document.text)).partition(_DOCUMENT)
        messages = prompt.messages(*joined(before, *document.parts, after))
        return Request(messages, prompt.title, schema if self.structured else None)


def joined(*parts: str | Reference) -> tuple[str | Reference, ...]:
    """Returns the parts of a message, with adjacent texts as one, one on each line."""

    def merged() -> Iterator[str | Reference]:
        texts = list[str]()
        for part in parts:
            if isinstance(part, str):
                texts += [stripped] if (stripped := part.strip("\n")) else []
                continue
            if texts:
                yield "\n".join(texts)
            texts.clear()
            yield part
        if texts:
            yield "\n".join(texts)

    return tuple(merged())


DOCUMENT_MEASURES = {
    **REPLY_MEASURES,
    "images_left_out": pa.int32(),
    "characters_left_out": pa.int32(),
}
"""The measures that all steps about documents have."""


def document_measures(
    documents: Sequence[Document | None],
    replies: Sequence[tuple[Reply, ...] | None],
    status: Sequence[str],
) -> Columns:
    """Returns the columns of DOCUMENT_MEASURES."""
    sent = [one or Document(()) for one in documents]
    images = pa.array([one.images_left_out for one in sent], pa.int32())
    characters = pa.array([one.characters_left_out for one in sent], pa.int32())
    return {
        **reply_measures([own or () for own in replies], status),
        "images_left_out": images,
        "characters_left_out": characters,
    }


def not_documents(documents: Sequence[Document | None]) -> RowErrors:
    """Returns the errors of records that are no documents."""
    errors = RowErrors(len(documents))
    for row, one in enumerate(documents):
        if one is None:
            errors.add(row, _NO_DOCUMENT)
    return errors
