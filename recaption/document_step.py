"""The base class of steps that ask a model about a whole record: its texts and its images."""

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
"""Marks the place of the document in a filled prompt. No prompt contains this character."""
_NO_DOCUMENT = RowError(
    "the record has roles or a video, which this step does not send to a model",
    fix="Limit the step, for example with `only: {modality: [caption, interleaved]}`.",
)


class DocumentStep(PromptedStep):
    """A step that asks a model about the texts and images of a record, in their order, and expects
    a reply in JSON. The placeholder {document} in the prompt marks where the texts and images are
    sent."""

    placeholders: ClassVar[tuple[str, ...]] = ("document", "format", "language")

    max_images: NonNegativeInt = Field(
        16, description="most images of a record that are sent; `images_left_out` counts the others"
    )
    max_chars: PositiveInt = Field(
        20_000,
        description="most characters of a record that are sent; `characters_left_out` counts the "
        "others",
    )
    structured: bool = Field(
        True,
        description="send the JSON Schema of the reply; false: only the prompt states the form of "
        "the reply, for endpoints without structured output",
    )

    def reads(self) -> tuple[str, ...]:
        return ("content", "media", "language")

    def load(self, worker: Worker) -> Prompt:
        prompt: Prompt = super().load(worker)
        texts = [text for text in (prompt.text, prompt.without_text) if text]
        if any(text.count("{document}") != 1 for text in texts):
            place = prompt_file(self.prompt, worker.base)
            fix = "Write it once in `text`, and once in `without_text` if there is one."
            raise RecipeError(
                "a text of the prompt does not have the placeholder {document} exactly once",
                place,
                fix,
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
        """Returns the request about a document. `values` are the texts for the placeholders other
        than {document} and {language}. `schema` is the JSON Schema of the reply."""
        values = {**values, "document": _DOCUMENT}
        before, _, after = prompt.filled(values, language, bool(document.text)).partition(_DOCUMENT)
        messages = prompt.messages(*joined(before, *document.parts, after))
        return Request(messages, prompt.title, schema if self.structured else None)


def joined(*parts: str | Reference) -> tuple[str | Reference, ...]:
    """Returns the parts of a message. Adjacent texts become one text, with each on a line of its
    own; empty texts are left out."""

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
"""The measures that every `DocumentStep` has."""


def document_measures(
    documents: Sequence[Document | None],
    replies: Sequence[tuple[Reply, ...] | None],
    status: Sequence[str],
) -> Columns:
    """Returns the columns of the measures that every `DocumentStep` has. Each argument has one
    entry for each record."""
    sent = [one or Document(()) for one in documents]
    images = pa.array([one.images_left_out for one in sent], pa.int32())
    characters = pa.array([one.characters_left_out for one in sent], pa.int32())
    return {
        **reply_measures([own or () for own in replies], status),
        "images_left_out": images,
        "characters_left_out": characters,
    }


def not_documents(documents: Sequence[Document | None]) -> RowErrors:
    """Returns an error for each record without a document, which is a record with roles or a
    video."""
    errors = RowErrors(len(documents))
    for row, one in enumerate(documents):
        if one is None:
            errors.add(row, _NO_DOCUMENT)
    return errors
