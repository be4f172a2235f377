"""A model of texts in an ONNX file, with the tokenizer.json that it was trained with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from clustering.embed.embedder import TextSettings, Vectors
from manifests.errors import InputError, is_of_environment
from manifests.models.onnx import OnnxModel
from manifests.models.text_tokens import TextTokens, Tokens
from manifests.record import texts
from manifests.step import Context, RowErrors

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
_EXPORT = f"Export the part of the model for texts, with the inputs {IDS}, {MASK} and {TYPES}."


class OnnxText:
    """Embeds the texts of records.

    On a CPU the model gets one text at a time. So no text is padded, and a vector does not depend
    on other texts (a model with 8-bit numbers scales its activations by the whole batch). On a GPU
    the model gets a batch, padded to the longest text. If `pad_to` is set, or if the input of the
    model has a fixed length, every text is padded to this length.
    """

    def __init__(
        self, model: OnnxModel, tokens: TextTokens, step: TextSettings, output: str, gpu: bool
    ) -> None:
        self._model, self._tokens, self._output, self._gpu = model, tokens, output, gpu
        self._pooling, self._prefix, self.width = step.pooling, step.prefix, step.vector_width
        self._names = _inputs(model)
        fixed = model.inputs[self._names[0]][1]
        self._pad_to = _padded_length(model, fixed, step)
        if tokens.padding_id is None and not self._names[1] and (gpu or self._pad_to):
            raise InputError(
                f"texts must be padded, but the model has no input {MASK} and the tokenizer.json "
                "names no padding token",
                model.place,
                "Add the section `padding` to tokenizer.json, or set gpus: 0 and remove pad_to.",
            )

    def check(self, max_tokens: int) -> None:
        """Runs the model on a short text and on one of `max_tokens` tokens. Raises InputError if
        the model fails, or if its vectors do not have the right shape."""
        short, long = self._tokens.encode(["a", "a " * max_tokens])
        for one in (short, long):
            try:
                self._vectors([one])
            except Exception as error:  # onnxruntime has many classes of errors
                if isinstance(error, InputError) or is_of_environment(error):
                    raise
                raise InputError(
                    f"the model fails on a text of {len(one.ids)} tokens: {error}",
                    self._model.place,
                    "Set max_tokens to the most tokens that the model takes."
                    if one is long
                    else _EXPORT,
                ) from None

    def embed(self, batch: pa.Table, context: Context) -> Vectors:
        found = texts(batch["content"]).to_pylist()
        rows = [row for row, text in enumerate(found) if text.strip()]
        encoded = self._tokens.encode([self._prefix + found[row] for row in rows])
        vectors = np.zeros((batch.num_rows, self.width), np.float32)
        present = np.zeros(batch.num_rows, bool)
        size = max(len(rows), 1) if self._gpu else 1
        for start in range(0, len(rows), size):
            vectors[rows[start : start + size]] = self._vectors(encoded[start : start + size])
        present[rows] = True
        return Vectors(vectors, present, RowErrors(batch.num_rows))

    def close(self) -> None:
        self._model.close()

    def _vectors(self, encoded: Sequence[Tokens]) -> np.ndarray:
        """Returns the vectors of some texts: float32 (texts, width)."""
        counts = np.array([len(one.ids) for one in encoded])
        length = self._pad_to or int(counts.max())
        ids = np.full((len(encoded), length), self._tokens.padding_id or 0, np.int64)
        types, mask = np.zeros_like(ids), np.arange(length) < counts[:, None]
        for row, one in enumerate(encoded):
            ids[row, : counts[row]], types[row, : counts[row]] = one.ids, one.types
        values = (ids, mask, types)
        given = {name: value for name, value in zip(self._names, values, strict=True) if name}
        found = self._model.run(self._output, **given).astype(np.float32)
        return self._checked(self._pooled(found, mask), len(encoded))

    def _pooled(self, found: np.ndarray, mask: np.ndarray) -> np.ndarray:
        of_tokens = found.shape[:2] == mask.shape and found.ndim == 3
        if self._pooling is None and of_tokens:
            fault, fix = "a vector for each token", "Set pooling to mean, first or last."
            raise self._wrong(found, fault, fix)
        if self._pooling is None:
            return found
        if not of_tokens:
            fault = "no vector for each token"
            raise self._wrong(found, fault, "Remove pooling, or name another output.")
        if self._pooling == "first":
            return np.asarray(found[:, 0])
        if self._pooling == "last":
            return np.asarray(found[np.arange(len(found)), mask.sum(axis=1) - 1])
        total = (found * mask[:, :, None]).sum(axis=1, dtype=np.float32)
        return np.asarray(total / mask.sum(axis=1, keepdims=True).astype(np.float32))

    def _checked(self, found: np.ndarray, rows: int) -> np.ndarray:
        if found.ndim != 2 or len(found) != rows:
            fault = f"not one vector for each of {rows} texts"
            raise self._wrong(found, fault, "Name another output.")
        if found.shape[1] != self.width:
            raise InputError(
                f"the model makes {found.shape[1]} numbers for a text, but width is {self.width}",
                self._model.place,
                f"Set width: {found.shape[1]}.",
            )
        return found

    def _wrong(self, found: np.ndarray, fault: str, fix: str) -> InputError:
        fault = f"the output {self._output!r} has the shape {found.shape}: {fault}"
        return InputError(fault, self._model.place, fix)


def _inputs(model: OnnxModel) -> tuple[str, str, str]:
    """Returns the names of the inputs for ids, mask and types; "" for one that the model lacks. A
    single input may have any name."""
    names = list(model.inputs)
    known = (names[0], "", "") if len(names) == 1 else (IDS, MASK, TYPES)
    if not set(names) <= set(known) or known[0] not in names or len(model.inputs[known[0]]) != 2:
        raise InputError(
            f"the model has the inputs {model.inputs}, which are not the tokens of texts",
            model.place,
            _EXPORT,
        )
    ids, mask, types = (name if name in names else "" for name in known)
    return ids, mask, types


def _padded_length(model: OnnxModel, fixed: int | None, step: TextSettings) -> int | None:
    """Returns the number of tokens that every text is padded to; None if the texts of a batch are
    padded to the longest of them. `fixed` is the number of tokens that the model takes; None if it
    takes any number."""
    if fixed is not None and step.pad_to not in (None, fixed):
        raise InputError(
            f"pad_to is {step.pad_to}, but the model takes texts of {fixed} tokens",
            model.place,
            f"Set pad_to: {fixed}, or remove it.",
        )
    length = step.pad_to or fixed
    if length is not None and step.max_tokens > length:
        raise InputError(
            f"max_tokens is {step.max_tokens}, but texts are padded to {length} tokens",
            model.place,
            f"Set max_tokens: {length}, or less.",
        )
    return length
