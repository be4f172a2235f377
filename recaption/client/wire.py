"""Writes requests as the JSON of OpenAI's chat completions and embeddings, and computes the keys of
their replies."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from manifests.media import Reference
from manifests.step import Request
from recaption.client.images import ENCODING, SentImage

PATHS = {"chat": "/chat/completions", "embedding": "/embeddings"}
"""Where each kind of request is sent, below the address of the endpoint."""
_KEY_VERSION = 1
_NUMBERS_AS_KEYS = orjson.OPT_NON_STR_KEYS
"""Allows numbers as keys, as in YAML: `logit_bias: {50256: -100}`."""


def request_key(
    request: Request,
    model: tuple[str, str],
    parameters: Mapping[str, Any],
    bad_before: int,
    max_pixels: int,
    digests: Mapping[Reference, str],
) -> bytes:
    """Returns the key of a reply: a digest of everything that decides the reply. The address of the
    endpoint is not included. `model` is the name and the revision of the model, `bad_before` the
    number of bad replies to this request so far, and `digests` has the digest of each image file.
    The order of the fields in a schema matters, because a model writes the fields in this order."""

    def shown(ref: Reference) -> dict[str, Any]:
        return {"image": digests[ref], "max_pixels": max_pixels, "encoding": ENCODING}

    schema = None if request.schema is None else orjson.dumps(request.schema, default=dict).decode()
    what = [_KEY_VERSION, model, request.prompt, parameters, bad_before, schema,
            _messages(request, shown)]  # fmt: skip
    if request.kind != "chat":
        what.append(request.kind)
    data = orjson.dumps(what, option=orjson.OPT_SORT_KEYS | _NUMBERS_AS_KEYS, default=dict)
    return hashlib.blake2b(data, digest_size=16).digest()


def request_body(
    request: Request,
    model: str,
    parameters: Mapping[str, Any],
    images: Mapping[Reference, SentImage],
) -> bytes:
    """Returns the body of an HTTP request, with the images as data URLs."""

    def sent(ref: Reference) -> dict[str, Any]:
        mime, data = images[ref]
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        return {"type": "image_url", "image_url": {"url": url}}

    body = body_with(request, model, parameters, sent)
    return orjson.dumps(body, option=_NUMBERS_AS_KEYS, default=dict)


def body_with(
    request: Request,
    model: str,
    parameters: Mapping[str, Any],
    image: Callable[[Reference], dict[str, Any]],
) -> dict[str, Any]:
    """Returns the body of an HTTP request. `image` is a function that returns the part of the body
    for an image."""
    if request.kind == "embedding":
        return {"model": model, "input": _one_text(request), **parameters}
    body = {"model": model, "messages": _messages(request, image), **parameters}
    if request.schema is not None:
        schema = {"name": "reply", "strict": True, "schema": dict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _messages(
    request: Request, image: Callable[[Reference], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [
        {"role": message.role, "content": _content(message.parts, image)}
        for message in request.messages
    ]


def _one_text(request: Request) -> str:
    """Returns the text that a request for an embedding has."""
    [message] = request.messages
    [text] = message.parts
    assert isinstance(text, str), "only texts are embedded"
    return text


def _content(
    parts: tuple[str | Reference, ...], image: Callable[[Reference], dict[str, Any]]
) -> str | list[dict[str, Any]]:
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]  # some endpoints take a list only for models with images
    return [
        {"type": "text", "text": part} if isinstance(part, str) else image(part) for part in parts
    ]


def images_of(request: Request) -> Iterator[Reference]:
    """Yields each image of a request once."""
    parts = (part for message in request.messages for part in message.parts)
    yield from dict.fromkeys(part for part in parts if isinstance(part, Reference))
