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
from recaption.json_step import JsonStep
from recaption.prompts import Prompt, prompt_file

_DOCUMENT = "\0"
"""A character that no prompt has. It stands in the filled prompt where the document is sent."""
_NO_DOCUMENT = RowError(
    "the record is no document: it has roles or a video",
    fix="Limit the step, for example with `only: {modality: [caption, interleaved]}`.",
)


class DocumentStep(JsonStep):
    """A step that asks about the texts and images of a record, in order. The prompt has the
    placeholder {document} where they are sent."""

    placeholders: ClassVar[tuple[str, ...]] = ("document", "format", "language")

    max_images: NonNegativeInt = Field(
        16, description="images of a record that are sent, from the first; the others are counted"
    )
    max_chars: PositiveInt = Field(
        20_000,
        description="characters of a record that are sent, from the first; the others are counted",
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
        filled = prompt.filled(document.text, language, {**values, "document": _DOCUMENT})
        before, _, after = filled.partition(_DOCUMENT)
        return self.json_request(prompt, joined(before, *document.parts, after), schema)


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


COUNTS = {
    "images_left_out": pa.int32(),
    "characters_left_out": pa.int32(),
    "status": pa.string(),
    "model": pa.string(),
    "askings": pa.int32(),
    "input_tokens": pa.int32(),
    "output_tokens": pa.int32(),
}
"""The measures that all steps about documents have."""


def counts(
    about: Sequence[Document | None],
    replies: Sequence[tuple[Reply, ...] | None],
    status: Sequence[str],
) -> Columns:
    """Returns the measures of COUNTS. Askings and tokens are those of all replies about a row, and
    `model` is that of the first."""
    sent = [one or Document(()) for one in about]
    names = [own[0].model if own and own[0].fault is None else None for own in replies]
    made: dict[str, list[Any]] = {
        "images_left_out": [one.images_left_out for one in sent],
        "characters_left_out": [one.characters_left_out for one in sent],
        "status": list(status),
        "model": names,
    }
    for name in ("askings", "input_tokens", "output_tokens"):
        made[name] = [_sum([getattr(one, name) for one in own or ()]) for own in replies]
    return {name: pa.array(made[name], kind) for name, kind in COUNTS.items()}


def _sum(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def not_documents(about: Sequence[Document | None]) -> RowErrors:
    """Returns the errors of records that are no documents."""
    errors = RowErrors(len(about))
    for row, one in enumerate(about):
        if one is None:
            errors.add(row, _NO_DOCUMENT)
    return errors
