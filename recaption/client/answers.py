"""Reads the answers of an endpoint: the reply of the model, or the error that the endpoint
states."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import struct
import time
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from manifests.step import Reply

MAX_TOKENS = 10**9
"""A larger number of tokens is not valid (our choice). The sum of two valid numbers fits 32
bits."""
INTERRUPTED = ("abort", "aborted", "cancelled", "error", "insufficient_system_resource")
"""Values of `finish_reason` if the server stopped before the reply was complete. vLLM and SGLang
send `abort` (vllm#57082) and OpenRouter `error`, both with status 200; DeepSeek sends
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
"""The HTTP status that an error code means, whatever status the answer has. These errors are the
same for all requests. The codes are those of OpenAI and of DashScope, which sends `Arrearage` with
status 400."""
_FLAGGED = re.compile(r"moderation|flagged|inappropriate|content\W?(?:policy|filter)", re.I)
"""Matches the message of an endpoint that refuses the content of one request (our pattern), such as
this one of OpenRouter with status 403: "Your chosen model requires moderation and your input was
flagged"."""
_FORM = r"response_?format|json_?schema|json schema|structured[ _]outputs?|guided[ _]\w+|grammar"
_REFUSED = (
    r"not\W+(?:\w+\W+)?(?:support|available|allowed|permitted|implemented)|unsupported"
    r"|unavailable|unknown|unrecogni[sz]ed|unexpected|invalid|fail"
)
_NO_SCHEMA = re.compile(
    f"(?:{_FORM}).{{0,120}}(?:{_REFUSED})|(?:{_REFUSED}).{{0,120}}(?:{_FORM})", re.I | re.S
)
"""Matches the message of an endpoint that does not support a JSON Schema (our pattern), such as
this one of OpenAI: "Invalid parameter: 'response_format' of type 'json_schema' is not supported
with this model"."""


class NoReplyError(Exception):
    """The body of an answer is not a complete reply."""


def reply_of(body: str) -> Reply:
    """Returns the reply that the body of an answer contains. Raises NoReplyError if the body is
    incomplete or contains no reply.

    If there are several choices, the one with the index 0 is used. If a text is sent in parts, as
    Mistral does, the parts of the type `text` are joined. A number of tokens that is not valid
    becomes None. An answer with `data` has an embedding.
    """
    try:
        answer = _parsed(body)
        if "data" in answer and "choices" not in answer:
            return _embedding(answer)
        choice = _first(answer["choices"])
        message = choice["message"]
        usage = _usage(answer)
        return Reply(
            _text(message.get("content")),
            str(choice.get("finish_reason") or ""),
            str(answer.get("model") or ""),
            message.get("refusal"),
            _tokens(usage.get("prompt_tokens")),
            _tokens(usage.get("completion_tokens")),
        )
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
            struct.error) as error:  # fmt: skip
        kind = type(error).__name__
        fault = f"a body of {len(body)} characters is not a reply ({kind}): {body!r:.200}"
        raise NoReplyError(fault) from None


def meant_status(status: int, body: str) -> int:
    """Returns the HTTP status that an answer means. This status differs from the status that was
    sent in three cases: the error has a code that stands for another status; the status 200 was
    sent with an error whose code is a status, as some proxies and servers do; or the status 403
    refuses only the content of this request, which means 400.

    `meant_status(200, '{"error": {"message": "...", "code": 429}}') -> 429`
    """
    answer = _object(body)
    if status == 200 and (answer.get("choices") or answer.get("data")):
        return 200
    code = str(_error(answer).get("code") or "").lower()
    if status == 403 and _FLAGGED.search(f"{code} {error_text(body)}"):
        return 400
    is_status = status == 200 and re.fullmatch("[45][0-9][0-9]", code)
    return _STATUS_OF_CODE.get(code, int(code) if is_status else status)


def error_text(body: str) -> str:
    """Returns the error message in the body of an answer, or the start of the body if there is no
    message."""
    answer = _object(body)
    message = _error(answer).get("message") or answer.get("error") or answer.get("detail")
    return str(message)[:500] if message else body.strip()[:300]


def refuses_schema(body: str) -> bool:
    """Returns whether the error message in the body of an answer refuses the JSON Schema of the
    request."""
    return _NO_SCHEMA.search(error_text(body)) is not None


def retry_after(value: str | None) -> float | None:
    """Returns how many seconds a header `Retry-After` asks to wait; None if it is missing or not
    valid. The header states seconds or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _parsed(body: str) -> Any:
    """Returns the value of a JSON text. Python's parser reads what orjson refuses: NaN, which
    servers send in logprobs, and halves of surrogate pairs."""
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
    """Returns the object that has the code and the message of an error: the field `error`, or the
    whole answer, as older vLLM and DashScope send it."""
    error = answer.get("error")
    return error if isinstance(error, dict) else answer


def _embedding(answer: dict[str, Any]) -> Reply:
    """Returns the reply to a request for the embedding of one text."""
    [one] = answer["data"]
    if one.get("index") not in (None, 0):
        raise ValueError("the index of the only embedding is not 0")
    read = _tokens(_usage(answer).get("prompt_tokens"))
    return Reply(
        "", "", str(answer.get("model") or ""), None, read, 0, vector=_vector(one["embedding"])
    )


def _vector(value: Any) -> tuple[float, ...]:
    """Returns the numbers of an embedding. `value` is a list of numbers, or the base64 of
    little-endian float32 numbers."""
    if isinstance(value, str):
        data = base64.b64decode(value, validate=True)
        return struct.unpack(f"<{len(data) // 4}f", data)
    if not (isinstance(value, list) and {*map(type, value)} <= {int, float}):
        raise TypeError("embedding")
    return tuple(map(float, value))


def _usage(answer: dict[str, Any]) -> dict[str, Any]:
    usage = answer.get("usage")
    return usage if isinstance(usage, dict) else {}


def _first(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return next((one for one in choices if one.get("index") == 0), choices[0])


def _text(content: Any) -> str:
    """Returns the text of a message, with U+FFFD in place of each half of a surrogate pair."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part["type"] == "text")
    text = content or ""
    if not isinstance(text, str):
        raise TypeError("content")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _tokens(value: Any) -> int | None:
    is_number = type(value) is int or (type(value) is float and value.is_integer())
    return int(value) if is_number and 0 <= value <= MAX_TOKENS else None
