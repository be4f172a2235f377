"""Counts the tokens of requests for a forecast, and the tokens of replies if the endpoint does not
state them."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from manifests.errors import InputError, MediaError, RowError
from manifests.geometry.smart_resize import (
    AROUND_IMAGE,
    VISION_PROFILES,
    VisionProfile,
    image_tokens,
)
from manifests.media import Reference
from manifests.media.header import probe
from manifests.models.qwen_tokenizer import qwen_tokenizer
from manifests.models.tokenizer import Tokenizer
from manifests.step import Request

BYTES_PER_TOKEN = 3
"""So many bytes of UTF-8 count as one token if the vocabulary of Qwen is not installed (our
choice). Tokens of English and Chinese text have more bytes, so the count is not too low."""
_QWEN2 = re.compile(r"qwen2(?:[._]?5)?[-_]?vl", re.IGNORECASE)


class TokenCounter:
    """Counts the tokens of texts and images as the step `tokens` does: texts by the vocabulary of
    Qwen, or by their bytes if it is not installed; images by `smart_resize`. The name `model`
    decides the vision profile: `qwen2_5_vl` for Qwen2-VL and Qwen2.5-VL, `qwen3_vl` for all others.
    `name` describes this method of counting."""

    def __init__(self, model: str) -> None:
        self._vision: VisionProfile = "qwen2_5_vl" if _QWEN2.search(model) else "qwen3_vl"
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None
        try:
            self._tokenizer = qwen_tokenizer()
        except InputError:
            self._tokenizer = None
        texts = "the vocabulary of Qwen" if self._tokenizer else f"{BYTES_PER_TOKEN} bytes a token"
        self.name = f"texts by {texts}, images by the vision profile {self._vision}"

    @property
    def is_exact(self) -> bool:
        """Whether texts are counted by a vocabulary, not by their bytes."""
        return self._tokenizer is not None

    def text(self, text: str) -> int:
        if self._tokenizer is not None:
            try:
                with self._lock:
                    return self._tokenizer.count(text)
            except RowError:  # a text without ends of words
                pass
        return -(-len(text.encode()) // BYTES_PER_TOKEN)

    def image(self, width: int, height: int) -> int:
        """Returns the number of tokens of an image with this size, including the special tokens
        around it."""
        [tokens] = image_tokens(np.array([[width, height]]), VISION_PROFILES[self._vision])
        return int(tokens) + AROUND_IMAGE

    def request(self, request: Request, sizes: Mapping[Reference, tuple[int, int]]) -> int:
        """Returns the number of tokens of the texts and images of a request, without the tokens
        that a chat template adds. `sizes` has the width and height of each image as it is sent."""
        parts = [part for message in request.messages for part in message.parts]
        return sum(
            self.text(part) if isinstance(part, str) else self.image(*sizes[part]) for part in parts
        )

    def body(self, body: bytes) -> int:
        """Returns the same number as the method `request`, but computes it from the body of the
        HTTP request."""
        sent = orjson.loads(body)
        if "input" in sent:
            return self.text(sent["input"])
        return sum(
            self.text(part["text"]) if part["type"] == "text" else self._sent(part["image_url"])
            for part in _parts(sent["messages"])
        )

    def _sent(self, image: Mapping[str, str]) -> int:
        try:
            header = probe(base64.b64decode(image["url"].partition(",")[2]))
        except MediaError:
            return 0
        return self.image(header.width, header.height)


def _parts(messages: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for message in messages:
        content = message["content"]
        is_text = isinstance(content, str)
        yield from [{"type": "text", "text": content}] if is_text else content
