"""Reads the answers of an endpoint: the reply of the model, or what the endpoint states about an
error."""

from __future__ import annotations

import contextlib
import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from manifests.step import Reply

MAX_TOKENS = 10**9
"""A larger number of tokens is no count (our choice): two of them fit a column of 32 bits."""
INTERRUPTED = ("abort", "aborted", "cancelled", "error", "insufficient_system_resource")
"""Reasons why a text ends before its end, because the server stopped: vLLM and SGLang state `abort`
(vllm#57082) and OpenRouter `error`, both with status 200, DeepSeek
`insufficient_system_resource`."""
_STATUS_OF_CODE = {
    "insufficient_quota": 402,
    "billing_hard_limit_reached": 402,
    "billing_not_active": 402,
    "account_deactivated": 402,
    "arrearage": 402,
    "invalid_api_key": 401,
    "invalidapikey": 401,
    "model_not_found": 404,
}
"""Codes of errors that are the same for all requests, and what status they mean, whatever status
they come with: those of OpenAI, and of DashScope, which sends `Arrearage` with status 400."""
_FLAGGED = re.compile(r"moderation|flagged|inappropriate|content\W?(?:policy|filter)", re.I)
"""How endpoints refuse the content of one request (our pattern), such as OpenRouter with status
403: "Your chosen model requires moderation and your input was flagged"."""
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


def reply_of(body: str) -> Reply:
    """Returns the reply in the body of an answer. Raises NoReplyError if the body is not complete,
    or has no reply.

    Of several choices, it is the one with the index 0. Of a text in parts, such as Mistral sends,
    it is all parts of the type `text`. Numbers of tokens that are no counts are None.
    """
    try:
        answer = _parsed(body)
        choice = _first(answer["choices"])
        message = choice["message"]
        usage = answer.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        return Reply(
            _text(message.get("content")),
            str(choice.get("finish_reason") or ""),
            str(answer.get("model") or ""),
            message.get("refusal"),
            _tokens(usage.get("prompt_tokens")),
            _tokens(usage.get("completion_tokens")),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        fault = f"{len(body)} characters are no reply ({type(error).__name__}): {body!r:.200}"
        raise NoReplyError(fault) from None


def meant_status(status: int, body: str) -> int:
    """Returns the status that an answer means, which is another one in three cases: the code of its
    error states it; status 200 came with an error, as some proxies and servers send it; or status
    403 refuses the content of this one request, and means 400.

    `meant_status(200, '{"error": {"message": "...", "code": 429}}') -> 429`
    """
    answer = _object(body)
    if status == 200 and answer.get("choices"):
        return 200
    code = str(_error(answer).get("code") or "").lower()
    if status == 403 and _FLAGGED.search(f"{code} {error_text(body)}"):
        return 400
    is_status = status == 200 and re.fullmatch("[45][0-9][0-9]", code)
    return _STATUS_OF_CODE.get(code, int(code) if is_status else status)


def error_text(body: str) -> str:
    """Returns the message in the body of a refusal, or the start of the body."""
    answer = _object(body)
    message = _error(answer).get("message") or answer.get("error") or answer.get("detail")
    return str(message)[:500] if message else body.strip()[:300]


def refuses_schema(body: str) -> bool:
    """Returns whether the message in the body of a refusal is about the JSON Schema of the request,
    which is the same for all records."""
    return _NO_SCHEMA.search(error_text(body)) is not None


def retry_after(value: str | None) -> float | None:
    """The seconds of a header Retry-After, which has seconds or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _parsed(body: str) -> Any:
    """The value of a JSON text. Python's parser reads those with NaN, which servers send among
    logprobs, and with halves of surrogate pairs."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body)


def _object(body: str) -> dict[str, Any]:
    try:
        value = _parsed(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _error(answer: dict[str, Any]) -> dict[str, Any]:
    """The error in an answer: the object `error`, or the answer itself, as older vLLM and DashScope
    send it."""
    error = answer.get("error")
    return error if isinstance(error, dict) else answer


def _first(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return next((one for one in choices if one.get("index") == 0), choices[0])


def _text(content: Any) -> str:
    """The text of a message, with U+FFFD in place of each half of a surrogate pair."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part["type"] == "text")
    text = content or ""
    if not isinstance(text, str):
        raise TypeError("content")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _tokens(value: Any) -> int | None:
    is_number = type(value) is int or (type(value) is float and value.is_integer())
    return int(value) if is_number and 0 <= value <= MAX_TOKENS else None
