"""The interface of all embedders: what computes the vectors of the images or texts of a batch."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from manifests.step import Context, RowErrors


class Vectors(NamedTuple):
    """The embeddings of a batch. `vectors`: float32 (rows, width). `present`: bool (rows,), False
    for a row that has nothing to embed or an error; the vector of such a row is ignored. `errors`:
    the rows that could not be embedded."""

    vectors: np.ndarray
    present: np.ndarray
    errors: RowErrors


class Embedder(Protocol):
    """A loaded model that embeds the images or the texts of records."""

    @property
    def width(self) -> int:
        """The number of values in a vector."""
        ...

    def embed(self, batch: pa.Table, context: Context) -> Vectors:
        """Returns the vectors of a batch that has the columns which the step reads. The vectors may
        contain NaN: the step checks them."""
        ...

    def close(self) -> None:
        """Frees the memory of the model."""
        ...


class TextSettings(Protocol):
    """The settings of the step `embed` that a model of texts is loaded with."""

    @property
    def packaged(self) -> bool: ...

    @property
    def output(self) -> str | None: ...

    @property
    def pooling(self) -> str | None: ...

    @property
    def prefix(self) -> str: ...

    @property
    def max_tokens(self) -> int: ...

    @property
    def pad_to(self) -> int | None: ...

    @property
    def vector_width(self) -> int: ...

    def files(self, base: str) -> tuple[str, ...]:
        """The paths of the ONNX file, of its tokenizer.json, and of the files that have its
        weights; empty for the packaged model."""
        ...
