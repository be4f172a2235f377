"""Requests and replies in the JSON of OpenAI's chat completions, and the keys of replies."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from manifests.media import Reference
from manifests.step import Reply, Request
from recaption.client.images import ENCODING, SentImage

_KEY_VERSION = 1
_FORM = r"response_?format|json_?schema|json schema|structured[ _]outputs?|guided[ _]\w+|grammar"
_REFUSED = (
    r"not\W+(?:\w+\W+)?(?:support|available|allowed|permitted|implemented)|unsupported"
    r"|unavailable|unknown|unrecogni[sz]ed|unexpected|invalid|fail"
)
_NO_SCHEMA = re.compile(
    f"(?:{_FORM}).{{0,120}}(?:{_REFUSED})|(?:{_REFUSED}).{{0,120}}(?:{_FORM})", re.I | re.S
)
"""How endpoints refuse a JSON Schema (our pattern), such as OpenAI: "Invalid parameter:
'response_format' of type 'json_schema' is not supported with this model"."""


class NoReplyError(Exception):
    """The body of an answer is not a complete reply."""


def request_key(
    request: Request,
    model: tuple[str, str],
    parameters: Mapping[str, Any],
    bad_replies: int,
    max_pixels: int,
    digests: Mapping[Reference, str],
) -> bytes:
    """Returns the key of a reply: a digest of all that decides it. `model` is the name and the
    revision of the model, `bad_replies` counts the bad replies before, and `digests` are those of
    the image files. The address of the endpoint is no part of it."""

    def shown(ref: Reference) -> dict[str, Any]:
        return {"image": digests[ref], "max_pixels": max_pixels, "encoding": ENCODING}

    what = [_KEY_VERSION, model, request.prompt, parameters, bad_replies, request.schema,
            _messages(request, shown)]  # fmt: skip
    data = orjson.dumps(what, option=orjson.OPT_SORT_KEYS, default=dict)
    return hashlib.blake2b(data, digest_size=16).digest()


def request_body(
    request: Request,
    model: str,
    parameters: Mapping[str, Any],
    images: Mapping[Reference, SentImage],
) -> bytes:
    """Returns the body of an HTTP request."""

    def sent(ref: Reference) -> dict[str, Any]:
        mime, data = images[ref]
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        return {"type": "image_url", "image_url": {"url": url}}

    return orjson.dumps(body_with(request, model, parameters, sent), default=dict)


def body_with(
    request: Request,
    model: str,
    parameters: Mapping[str, Any],
    image: Callable[[Reference], dict[str, Any]],
) -> dict[str, Any]:
    """Returns the body of an HTTP request, with what `image` returns in place of each image."""
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


def _content(
    parts: tuple[str | Reference, ...], image: Callable[[Reference], dict[str, Any]]
) -> str | list[dict[str, Any]]:
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]  # some endpoints take a list only for models with images
    return [
        {"type": "text", "text": part} if isinstance(part, str) else image(part) for part in parts
    ]


def images_of(request: Request) -> Iterator[Reference]:
    """Yields the images of a request, each once."""
    parts = (part for message in request.messages for part in message.parts)
    yield from dict.fromkeys(part for part in parts if isinstance(part, Reference))


def reply_of(body: str) -> Reply:
    """Returns the reply in the body of an answer. Raises NoReplyError if the body is not complete,
    or has no reply."""
    try:
        answer = orjson.loads(body)
        choice = answer["choices"][0]
        message = choice["message"]
        text, finish = message.get("content") or "", str(choice.get("finish_reason") or "")
        usage = answer.get("usage") or {}
        if not isinstance(text, str):
            raise TypeError("content")
        return Reply(
            text,
            finish,
            str(answer.get("model") or ""),
            str(message["refusal"]) if message.get("refusal") else None,
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
        )
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        fault = f"{len(body)} characters are no reply ({type(error).__name__}): {body!r:.200}"
        raise NoReplyError(fault) from None


def _count(value: Any) -> int | None:
    """Returns a number of tokens; None if the endpoint states no such number."""
    return value if type(value) is int and 0 <= value < 1 << 31 else None


def error_text(body: str) -> str:
    """Returns the message in the body of a refusal, or the start of the body."""
    try:
        error = orjson.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)[:500]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.strip()[:300]


def refuses_schema(body: str) -> bool:
    """Returns whether the message in the body of a refusal is about the JSON Schema of the request,
    which is the same for all records."""
    return _NO_SCHEMA.search(error_text(body)) is not None


def error_code(body: str) -> str:
    try:
        return str(orjson.loads(body)["error"]["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
