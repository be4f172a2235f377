"""Loads the models that compute embeddings of texts."""

from __future__ import annotations

from clustering.embed import wordllama
from clustering.embed.embedder import Embedder, TextSettings
from clustering.embed.model_files import open_model
from clustering.embed.onnx_text import OnnxText
from manifests import storage
from manifests.models.text_tokens import TextTokens
from manifests.step import ModelIdentity, Worker


def text_embedder(step: TextSettings, worker: Worker) -> Embedder:
    """Loads the model of texts that the settings of the step name. Raises InputError if the model
    or the tokenizer cannot be used, or they do not fit the settings."""
    if step.packaged:
        return wordllama.WordLlama(step.max_tokens, step.prefix)
    path, tokenizer, *_ = step.files(worker.base)
    model = open_model(path, worker.gpu)
    tokens = TextTokens(storage.read_bytes(tokenizer), tokenizer, step.max_tokens)
    output = model.chosen_output(step.output)
    made = OnnxText(model, tokens, step, output, worker.gpu)
    made.check(step.max_tokens)
    return made


def packaged_identity() -> ModelIdentity:
    """Returns the identity of the model that comes in a package."""
    return wordllama.IDENTITY
