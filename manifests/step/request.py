"""Requests to models, their replies, and the object that asks the models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from manifests.errors import RowError
from manifests.media import Media, Reference


class Message(NamedTuple):
    """One message of a request. `parts` are its texts and images, in order: a text is a `str`, an
    image a `Reference`. Example: `Message("user", (reference, "What is this?"))`."""

    role: str
    parts: tuple[str | Reference, ...]


class Request(NamedTuple):
    """A question to a model.

    `prompt` names the prompt and its version, such as "caption 1". `schema` is the JSON Schema that
    the reply must follow; None if the reply is plain text. `parameters` are added to the parameters
    of the step's settings, under the names that the endpoint uses. `notes` are not sent to the
    model. They are for the step's method `fault`, which may need, for example, the text of the
    record.
    """

    messages: tuple[Message, ...]
    prompt: str = ""
    schema: Mapping[str, Any] | None = None
    parameters: Mapping[str, Any] = MappingProxyType({})
    notes: Mapping[str, Any] = MappingProxyType({})
    kind: Literal["chat", "embedding"] = "chat"
    """What is asked for: a text, or the embedding of the one text that the messages have."""


RowRequests = Request | tuple[Request, ...] | None
"""What is asked about a row: one request, several, or nothing."""


def requests_of(asked: RowRequests) -> tuple[Request, ...]:
    """Returns the requests about a row, in order. The tuple is empty if nothing is asked."""
    if asked is None:
        return ()
    return (asked,) if isinstance(asked, Request) else asked


class Reply(NamedTuple):
    """A reply of a model.

    `finish` is why the text ends, in the endpoint's words: "stop", "length", "content_filter".
    `refusal` is the reason why the model refuses, if the endpoint sends one in a separate field.
    `model` is the name that the endpoint states. `number` is 1 for the first reply to a request,
    and 2 for the second one, which is asked for if the first was bad. `fault` is what the step's
    method `fault` found wrong in this reply; None if the reply is good. The numbers of tokens are
    None if the endpoint does not state them. `vector` is the embedding, if the request asked for
    one; its numbers may be NaN.
    """

    text: str
    finish: str
    model: str
    refusal: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    number: int = 1
    fault: str | None = None
    vector: tuple[float, ...] | None = None


class Unanswered(NamedTuple):
    """A request without a reply. `later` is true if the cause may be temporary, such as a busy
    server."""

    error: RowError
    later: bool


Answered = Reply | Unanswered | None
"""The result of a request; None for a row without a request."""


class ModelClient(Protocol):
    """Sends requests to a model, and keeps every reply in a journal. A request whose reply is in
    the journal is not sent."""

    def ask(
        self,
        requests: Sequence[Request | None],
        media: Media,
        fault: Callable[[Request, Reply], str | None],
    ) -> list[Answered]:
        """Returns the result of each request, in order. If `fault` finds a fault in a reply, the
        request is sent once more, with another seed."""
        ...

    def ask_ahead(
        self,
        requests: Sequence[Request | None],
        media: Media,
        fault: Callable[[Request, Reply], str | None],
    ) -> None:
        """Begins to send requests, and does not wait for the replies. `ask` must be called later
        for the same requests, and in the same order if there are several calls."""
        ...
