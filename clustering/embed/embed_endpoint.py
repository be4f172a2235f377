"""The step `embed_endpoint`: a model behind an OpenAI-compatible endpoint embeds texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt

from clustering.embed.embedder import Vectors
from clustering.embed.half import halves, vector_type
from manifests import record
from manifests.errors import InputError, ReplyError
from manifests.step import Context, Measured, Message, Reply, Request, RequestStep, RowErrors

_OTHER_WIDTH = "another number of values than `width`"


class EmbedEndpoint(RequestStep):
    """Let a model behind an endpoint embed the text of each record.

    Each text is one request to `/embeddings` below the address of the endpoint (OpenAI's API). So
    every vector has an entry of its own in the journal, and a text that was embedded once is never
    paid for again, whatever batch or part it is in. The text of a record is all its text segments,
    joined by newlines, after `prefix`; a text is cut after `max_chars` characters. A record without
    text is not sent, and its vector is null.

    `vector` is the model's embedding in float16, without normalisation. A reply must have one
    embedding of `width` finite numbers; after any other reply the server is asked once more, and
    after a second such reply the record is quarantined. If no reply of a batch has `width` numbers,
    the run stops. With `encoding_format: base64` the server sends, and the journal keeps, about a
    third of the bytes; not all servers support it. See docs/embeddings.md.

        - embed_endpoint: {model: BAAI/bge-m3, endpoint: "${EMBED_URL}", width: 1024}
    """

    width: PositiveInt = Field(1024, description="number of values in an embedding")
    dimensions: bool = Field(
        False,
        description="ask the model for vectors of `width` numbers, if it can shorten them; false: "
        "take its vectors as they are",
    )
    encoding_format: Literal["float", "base64"] | None = Field(
        "float", description="how the server sends vectors; null: the server chooses"
    )
    prefix: str = Field("", description="what the model expects before a text")
    max_chars: PositiveInt = Field(
        20_000, description="number of characters after which a text is cut"
    )

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"vector": vector_type(self.width)}

    def requests(self, batch: pa.Table, context: Context) -> list[Request | None]:
        asked: dict[str, Any] = {"dimensions": self.width} if self.dimensions else {}
        if self.encoding_format is not None:
            asked["encoding_format"] = self.encoding_format
        texts = pc.utf8_slice_codeunits(record.texts(batch["content"]), 0, self.max_chars)
        return [
            Request((Message("user", (self.prefix + text,)),), parameters=asked, kind="embedding")
            if text.strip()
            else None
            for text in texts.to_pylist()
        ]

    def fault(self, request: Request, reply: Reply) -> str | None:
        if reply.vector is None:
            return "no embedding"
        if len(reply.vector) != self.width:
            return _OTHER_WIDTH
        finite = math.isfinite(sum(map(abs, reply.vector)))
        return None if finite else "an embedding with NaN or an infinite number"

    def answer(self, batch: pa.Table, replies: Sequence[Reply | None]) -> Measured:
        found = {row: reply for row, reply in enumerate(replies) if reply is not None}
        self._check_width([*found.values()])
        vectors = np.zeros((batch.num_rows, self.width), np.float32)
        present = np.zeros(batch.num_rows, bool)
        errors = RowErrors(batch.num_rows)
        for row, reply in found.items():
            if reply.fault is None and reply.vector is not None:
                vectors[row], present[row] = reply.vector, True
            else:
                errors.add(row, ReplyError(f"the endpoint answers with {reply.fault}"))
        return halves(Vectors(vectors, present, errors))

    def _check_width(self, replies: list[Reply]) -> None:
        widths = {len(reply.vector) for reply in replies if reply.vector is not None}
        if widths and self.width not in widths:
            raise InputError(
                f"the embeddings of the endpoint have {min(widths)} numbers, but width is "
                f"{self.width}",
                self.endpoint,
                f"Set width: {min(widths)}, or dimensions: true if the model can shorten vectors.",
            )
