"""A model that computes embeddings of texts."""

from __future__ import annotations

from clustering.embed.embedder import Embedder, TextSettings
from manifests.errors import InputError
from manifests.step import ModelIdentity, Worker


def text_embedder(step: TextSettings, worker: Worker) -> Embedder:
    """Loads the model of texts that the settings of the step name."""
    raise _missing()


def packaged_identity() -> ModelIdentity:
    """Returns the identity of the model that comes in a package."""
    raise _missing()


def _missing() -> InputError:
    return InputError(
        "no model embeds texts yet", "embed: on: text", "Set on: image, or remove the step."
    )
