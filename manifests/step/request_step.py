"""The base class of steps that ask a model at an endpoint about each record."""

from __future__ import annotations

import itertools
import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import pyarrow as pa
from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from manifests.errors import SpentError, StepError
from manifests.step.context import Context
from manifests.step.endpoint import checked_endpoint, checked_parameters
from manifests.step.needs import Location, ModelIdentity, Resources
from manifests.step.outcome import Measured, RowErrors
from manifests.step.request import (
    Answered,
    Reply,
    Request,
    RowRequests,
    Unanswered,
    requests_of,
)
from manifests.step.shapes import RowStep
from manifests.step.spending import Budget, Prices

IMAGE_PIXELS = 1 << 20
"""The most pixels of an image as it is sent, unless a step has a setting for it (our choice)."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class RequestStep(RowStep):
    """A step that asks a model at an endpoint about each record. The base class of a step that asks
    for texts is `GenerativeStep`.

    A step defines `requests`, and computes its measures from the replies in `answer`. This class
    does the rest: it sends many requests at once, repeats attempts that failed, and keeps every
    reply in a journal before it is used. One worker sends all requests of a run, so that the limit
    on requests in flight is for the whole run. The default values of the settings are our choice.
    """

    costs: ClassVar[bool] = True

    model: str = Field(min_length=1, description="name of the model, as the endpoint knows it")
    endpoint: Annotated[str, Location()] = Field(
        description="address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1",
    )
    revision: str = Field(
        "", description="any text; change it if the endpoint serves another model by the same name"
    )
    api_key_variable: Annotated[str | None, Location()] = Field(
        None, description="name of the environment variable that has the key; null: no key is sent"
    )
    journal: Annotated[str, Location()] = Field(
        "journal", description="folder of the journal, in which all replies are kept"
    )
    max_concurrent: Annotated[PositiveInt, Location()] = Field(
        32, le=1024, description="most requests in flight at the same time"
    )
    timeout_seconds: Annotated[PositiveFloat, Location()] = Field(
        300, description="longest time from sending a request to the end of its reply"
    )
    max_attempts: Annotated[PositiveInt, Location()] = Field(
        6, description="most failed attempts at a request; answers 429 and 503 do not count"
    )
    max_outage_seconds: Annotated[PositiveFloat, Location()] = Field(
        300, description="the run stops if all requests fail for longer than this"
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="further parameters of requests, by the names that the endpoint uses, such as "
        "{top_p: 0.9}",
    )
    prices: Annotated[Prices | None, Location()] = Field(
        None,
        description="what the endpoint charges for a million `input` tokens, for a million "
        "`output` tokens, and for a `request`, such as {input: 0.2, output: 0.6, currency: USD}",
    )
    budget: Annotated[Budget | None, Location()] = Field(
        None,
        description="the most that this step may spend in all runs into an output folder: "
        "`requests`, `tokens` and `money`, or some of them. The run stops when the budget is used "
        "up; raise it and run again to continue",
    )

    @model_validator(mode="after")
    def _has_prices(self) -> RequestStep:
        if self.budget is None or self.budget.money is None:
            return self
        prices = self.prices
        if prices is None or not (prices.input or prices.output or prices.request):
            raise ValueError(
                "budget.money needs `prices` that are not all 0, such as `prices: {input: 0.2, "
                "output: 0.6}`"
            )
        return self

    @field_validator("prices")
    @classmethod
    def _has_both(cls, value: Prices | None) -> Prices | None:
        given = {"input", "output"} & (value.model_fields_set if value else set())
        if len(given) == 1:
            raise ValueError(
                f"there is a price for {given.pop()} tokens alone. Give `input` and `output`: 0 "
                "for tokens that cost nothing"
            )
        return value

    _is_an_address = field_validator("endpoint")(checked_endpoint)

    @field_validator("parameters")
    @classmethod
    def _can_be_sent(cls, value: dict[str, Any]) -> dict[str, Any]:
        checked_parameters(value)
        return value

    @field_validator("api_key_variable")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError(
                "this must be the name of an environment variable in capital letters, such as "
                "VLM_API_KEY, and never the key itself"
            )
        return value

    def resources(self) -> Resources:
        return Resources(cpus=0, workers=1)  # it waits for the endpoint

    def batch_rows(self) -> int:
        return min(max(4 * self.max_concurrent, 64), 1024)

    def models(self, base: str) -> tuple[ModelIdentity, ...]:
        return (ModelIdentity(self.model, self.revision),)

    def sampling(self, bad_before: int) -> dict[str, Any]:
        """Returns the parameters of a request that control the model's sampling. `bad_before` is
        the number of bad replies to the request so far."""
        return {}

    def image_pixels(self) -> int:
        """Returns the most pixels of an image as it is sent."""
        return IMAGE_PIXELS

    @abstractmethod
    def requests(self, batch: pa.Table, context: Context) -> Sequence[RowRequests]:
        """Returns for each row one request, a tuple of several, or None. The requests may depend
        only on the batch and the step's settings, because the journal finds a reply by its
        request."""

    def fault(self, request: Request, reply: Reply) -> str | None:
        """Returns what is wrong with a reply as a short, fixed phrase; None if the reply is good.
        After a bad reply, the model is asked once more. The method is called in several threads."""
        return None

    @abstractmethod
    def answer(self, batch: pa.Table, replies: Sequence[Any]) -> Measured:
        """Returns the measures and the rewritten columns of every row, in order, as `measure` of a
        row step does.

        `replies` has one value for each row: a `Reply` if the row has one request, or a tuple of
        replies in the order of its requests. It is None if the row has no request or one of its
        requests failed; the values that are returned for a failed row are ignored. A step states
        the type that it expects, such as `Sequence[Reply | None]`.
        """

    def ask_ahead(self, batch: pa.Table, context: Context) -> None:
        """Begins to send the requests about a batch, before `measure` is called with this batch."""
        assert context.client is not None
        requests = (requests_of(one) for one in _made(self, batch, context))
        flat = list(itertools.chain.from_iterable(requests))
        context.client.ask_ahead(flat, context.media, self.fault)

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        assert context.client is not None
        asked = _made(self, batch, context)
        requests = [requests_of(one) for one in asked]
        flat = list(itertools.chain.from_iterable(requests))
        try:
            answered = iter(context.client.ask(flat, context.media, self.fault))
        except SpentError as spent:
            raise spent.changed(answered=answered_rows(requests, spent.answered)) from None
        by_row = [tuple(itertools.islice(answered, len(own))) for own in requests]
        made = self.answer(batch, [_replies(*both) for both in zip(asked, by_row, strict=True)])
        errors = made.errors or RowErrors(batch.num_rows)
        for row, own in enumerate(by_row):
            failed = [one for one in own if isinstance(one, Unanswered)]
            if failed:  # an error that remains, before one that may pass
                error, later = min(failed, key=lambda one: one.later)
                errors.add(row, error, later)
        return made._replace(errors=errors)


def _made(step: RequestStep, batch: pa.Table, context: Context) -> Sequence[RowRequests]:
    asked = step.requests(batch, context)
    if len(asked) != batch.num_rows:
        fault = f"the step returned {len(asked)} requests for {batch.num_rows} rows"
        raise StepError(fault, f"step {type(step).__name__}")
    return asked


def answered_rows(
    requests: Sequence[tuple[Request, ...]], answered: tuple[int, ...]
) -> tuple[int, ...]:
    """Returns the rows whose requests are all answered. `answered` has the positions of the
    answered requests, counted over the requests of all rows.

    `answered_rows([(a, b), (), (c,)], (1, 2)) -> (1, 2)`
    """
    known, ends = set(answered), itertools.accumulate(map(len, requests))
    pairs = zip(requests, ends, strict=True)
    return tuple(
        row for row, (own, end) in enumerate(pairs) if known.issuperset(range(end - len(own), end))
    )


def _replies(
    asked: RowRequests, answered: tuple[Answered, ...]
) -> Reply | tuple[Reply, ...] | None:
    """Returns the replies to the requests of a row: one reply if `asked` is one request, a tuple of
    replies if `asked` is a tuple. Returns None if nothing was asked, or if a request failed."""
    replies = tuple(one for one in answered if isinstance(one, Reply))
    if asked is None or len(replies) < len(answered):
        return None
    return replies[0] if isinstance(asked, Request) else replies
