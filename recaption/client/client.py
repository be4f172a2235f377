"""Sends the requests of a batch to a model, many at once, and keeps every reply in the journal."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import ssl
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from manifests import storage
from manifests.errors import (
    CurateError,
    EndpointError,
    ReplyError,
    RowError,
    SpentError,
    is_of_environment,
)
from manifests.media import Media, Reference
from manifests.run.payer import NOBODY, Payer
from manifests.step import Reply, Request, RequestStep, Unanswered
from manifests.step.outcome import TRANSIENT
from manifests.visible import HIDDEN, on_one_line
from recaption.client import answers, wire
from recaption.client.connections import Connections, HttpAnswer
from recaption.client.images import SentImage, sent_image
from recaption.client.journal import Journal
from recaption.client.keys import SECRET_CHARS, api_key
from recaption.client.level import Sent
from recaption.client.limiter import Limiter
from recaption.client.prepared import prepared
from recaption.client.spending import Spending
from recaption.client.stopping import REFUSED, Stopping
from recaption.client.waits import backoff

MAX_REPLIES = 2
"""The most replies to one request: if the first is bad, the model is asked once more (our
choice)."""
MAX_PUT_OFF = 64
"""The most times that a request is sent, including the times when the endpoint answers that it is
busy (our choice)."""
_OF_THE_RECORD = (400, 413, 422)
"""HTTP statuses by which an endpoint refuses one request, such as one that is too long. They are
errors of its record and do not stop the run."""
_FATAL = {
    401: "it does not accept the key",
    402: "the account has no money left",
    403: "it does not allow this request",
    404: "it does not know the model or the address",
}
_BUSY = (429, 503)
_TRANSIENT = (408, 409, 425)
_NO_SCHEMA = "Set `structured: false` if the step has it: then only the prompt describes the reply."
_SIZES = ("max_pixels", "max_tokens", "max_chars")
"""Settings of request steps that make a request shorter; not every step has them."""
RAISE_BUDGET = "Raise the setting `budget` of the step, and run the same command again."

Fault = Callable[[Request, Reply], str | None]
_Begun = list[Future[Reply | Unanswered] | None]


class _FailedError(Exception):
    """An attempt failed for a reason that may be temporary. `wait_seconds` is how long the endpoint
    asked to wait. `is_busy` is true if fewer requests at once may help. `is_put_off` is true if the
    endpoint answered that it is busy; such an attempt does not count towards `max_attempts`."""

    def __init__(
        self,
        fault: str,
        wait_seconds: float | None = None,
        is_busy: bool = False,
        is_put_off: bool = False,
    ) -> None:
        super().__init__(fault)
        self.wait_seconds, self.is_busy, self.is_put_off = wait_seconds, is_busy, is_put_off


class Client:
    """Sends the requests of a step to its model. `place` names the step in errors, `base` is the
    folder of relative paths in the settings, and `payer` is the run and the step that pay."""

    def __init__(self, step: RequestStep, place: str, base: str, payer: Payer = NOBODY) -> None:
        self._step, self._place = step, f"{place}, {step.endpoint}"
        self._payer = payer
        self._key = api_key(step, self._place)
        self._connections = Connections(step.endpoint, self._key, step.timeout_seconds)
        self._limiter = Limiter(step.max_concurrent)
        self._spending = Spending(step, payer)
        place = storage.resolve(base, step.journal)
        self._journal = Journal(place, self._spending.add_earlier, payer.run)
        self._spending.begin()
        self._pool = ThreadPoolExecutor(step.max_concurrent, "ask")
        self._decoding = threading.BoundedSemaphore(os.cpu_count() or 1)  # bounds memory
        self._lock = threading.Lock()
        self._asked: dict[bytes, Future[str]] = {}
        self._ahead: deque[tuple[list[Request | None], _Begun]] = deque()
        self._warnings = contextlib.ExitStack()  # decoders in threads would restore others' filters
        self._warnings.enter_context(warnings.catch_warnings(action="ignore"))
        self._stopping = Stopping(step, self._place, self._limiter.wake)

    @property
    def limit(self) -> int:
        """The number of requests that may be in flight now."""
        return self._limiter.limit

    def ask(
        self, requests: Sequence[Request | None], media: Media, fault: Fault
    ) -> list[Reply | Unanswered | None]:
        """Implements `ModelClient.ask`. Raises EndpointError if the endpoint refuses all requests
        or fails for too long, and SpentError if the budget is used up. The replies before the error
        are kept."""
        futures = self._begun(requests) or self._begin(requests, media, fault)
        try:
            return [None if future is None else future.result() for future in futures]
        except BaseException as error:
            waiting = [*futures, *(future for _, later in self._ahead for future in later)]
            in_flight = [one for one in waiting if one is not None and not one.cancel()]
            self._ahead.clear()
            if isinstance(error, Exception):
                wait(in_flight)  # their replies are paid for
            if isinstance(error, SpentError):
                raise self._spent(error).changed(answered=_answered(futures)) from None
            raise
        finally:
            self._journal.sync(self._spending.saved())
            self._spending.save()

    def ask_ahead(self, requests: Sequence[Request | None], media: Media, fault: Fault) -> None:
        """Implements `ModelClient.ask_ahead`. If `ask` is called for other requests next, the
        replies to these requests are still written to the journal, and a later `ask` finds them
        there."""
        self._ahead.append((list(requests), self._begin(requests, media, fault)))

    def _begin(self, requests: Sequence[Request | None], media: Media, fault: Fault) -> _Begun:
        return [
            None if request is None else self._pool.submit(self._answer, request, media, fault)
            for request in requests
        ]

    def _begun(self, requests: Sequence[Request | None]) -> _Begun | None:
        while self._ahead:
            known, futures = self._ahead.popleft()
            if known == list(requests):
                return futures
        return None

    def _spent(self, error: SpentError) -> SpentError:
        """Returns the error with the final costs. The costs include the requests that were in
        flight when the budget was used up."""
        _, fault = self._spending.used_up() or ("", error.fault)
        return error.changed(fault)

    def close(self) -> None:
        """Send no more requests, and wait for the replies in flight, because they are paid for. An
        interrupt ends the wait."""
        self._stopping.stop(EndpointError("the run has ended", self._place))
        try:
            self._pool.shutdown(wait=True, cancel_futures=True)
        finally:
            self._connections.close()
            self._journal.close()
            self._warnings.close()

    def _answer(self, request: Request, media: Media, fault: Fault) -> Reply | Unanswered:
        """Asks the model until a reply is good, or until `MAX_REPLIES` replies were bad. Returns
        the last reply; if there is no reply, returns the reason."""
        with contextlib.closing(media.another()) as own:
            try:
                for bad_before in range(MAX_REPLIES):
                    reply = self._reply(request, bad_before, own)
                    reply = reply._replace(number=bad_before + 1, fault=fault(request, reply))
                    if reply.fault is None:
                        break
                return reply
            except _FailedError as error:
                fault_text = f"the endpoint gave no reply after several attempts: {error}."
                return Unanswered(ReplyError(fault_text, fix="Run again with --retry."), True)
            except RowError as error:
                return Unanswered(error, isinstance(error, TRANSIENT))

    def _reply(self, request: Request, bad_before: int, media: Media) -> Reply:
        """Returns the reply from the journal, or asks the model for it. If equal requests are in
        flight together, only one of them is sent."""
        step = self._step
        key, parameters, files = prepared(step, request, bad_before, media)
        with self._lock:
            other = self._asked.get(key)
            is_known = other is None and key in self._journal
            own = self._asked[key] = Future() if other is None else other
        if other is not None:
            return answers.reply_of(other.result())
        try:
            entry = self._journal.get(key) if is_known else None
            if entry is not None:
                self._spending.found(entry)
                self._stopping.found()
                answer = str(entry["body"])
            else:
                images = {ref: self._image(files.pop(ref), ref, media) for ref in tuple(files)}
                body = wire.request_body(request, step.model, parameters, images)
                del images  # the files and the images are not kept while the request waits
                answer = self._send(key, request, body)
            own.set_result(answer)
            return answers.reply_of(answer)
        except BaseException as error:
            own.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._asked[key]

    def _image(self, data: bytes, ref: Reference, media: Media) -> SentImage:
        with self._decoding:
            return sent_image(data, ref, media, self._step.image_pixels())

    def _send(self, key: bytes, request: Request, body: bytes) -> str:
        """Sends a request, repeats it after failures that may be temporary, and writes the answer
        to the journal. Returns the body of the answer, which contains a reply."""
        failures = 0
        for attempt in itertools.count(1):
            try:
                return self._attempt(key, request, body)
            except _FailedError as error:
                self._stopping.failed(error)
                failures += not error.is_put_off
                if failures == self._step.max_attempts or attempt == MAX_PUT_OFF:
                    if self._stopping.has_refused_all():
                        fault = f"it answered none of the first {REFUSED} requests ({error})"
                        raise self._stopping.unusable(fault) from None
                    raise
                self._stopping.sleep(backoff(key, attempt, error.wait_seconds))
        raise AssertionError("the loop ends with a reply or an error")

    def _attempt(self, key: bytes, request: Request, body: bytes) -> str:
        with self._slot() as sent:
            started = time.monotonic()
            try:
                text, reply = self._exchange(body, request)
            except _FailedError as error:
                if error.is_busy:
                    self._limiter.busy(sent)
                raise
            about = {
                "model": self._step.model,
                "prompt": request.prompt,
                "seconds": round(time.monotonic() - started, 3),
                **self._spending.entry(reply, body),
            }
            try:
                self._journal.add(key, 200, text, about)
            except CurateError as error:  # such as a full disk: further replies would be lost too
                raise self._stopping.stop(error) from None
            self._spending.paid(about)
            self._limiter.answered(sent, reply.output_tokens or len(reply.text))
            self._stopping.replied()
            return text

    def _exchange(self, body: bytes, request: Request) -> tuple[str, Reply]:
        """Send a request once. Returns the body of the answer, and the reply in it. Raises
        _FailedError if the attempt failed for a reason that may be temporary."""
        try:
            answer = self._connections.post(wire.PATHS[request.kind], body)
            text = self._accepted(answer, request.schema is not None)
            reply = answers.reply_of(text)
        except answers.NoReplyError as error:
            raise self._unreadable(self._shown(str(error))) from None
        except ssl.SSLCertVerificationError as error:
            raise self._stopping.unusable(
                f"its certificate is not valid: {error.verify_message}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            if is_of_environment(error):  # such as too many open files
                raise
            fault = self._shown(f"{type(error).__name__}: {error}")
            raise _FailedError(fault, is_busy=isinstance(error, TimeoutError)) from None
        if reply.finish in answers.INTERRUPTED:
            raise _FailedError(f"it stopped before the end of the reply: {reply.finish!r}")
        return text, reply

    @contextlib.contextmanager
    def _slot(self) -> Iterator[Sent]:
        """Wait until a request may be sent, and count it as in flight during the `with` block. If
        the budget is used up or the run was stopped, raises the error that stops the run."""

        def is_stopped() -> bool:
            return self._stopping.is_stopped

        with self._spending.slot(is_stopped) as used_up:
            if used_up:
                budget, fault = used_up
                raise self._stopping.stop(
                    SpentError(fault, self._place, RAISE_BUDGET, self._payer.step, budget)
                )
            sent = self._limiter.acquire(is_stopped)
            if sent is None:
                raise self._stopping.error
            try:
                yield sent
            finally:
                self._limiter.release(sent)

    def _accepted(self, answer: HttpAnswer, has_schema: bool) -> str:
        """Returns the body of an answer if its status is 2xx. Otherwise raises EndpointError if the
        run must stop, _FailedError if the request may be sent again, and ReplyError if only this
        request is refused."""
        text = answer.body.decode("utf-8-sig", "replace")
        status = answers.meant_status(answer.status, text)
        if 200 <= status < 300:
            return self._without_key(text) if len(self._key or "") >= SECRET_CHARS else text
        fault = f"HTTP {answer.status}: {self._shown(answers.error_text(text))}"
        if status in _OF_THE_RECORD:
            if has_schema and not self._stopping.has_reply and answers.refuses_schema(text):
                raise self._stopping.unusable(
                    f"it does not support this JSON Schema ({fault})", _NO_SCHEMA
                )
            raise self._refusal(fault)
        if status in _BUSY or status in _TRANSIENT or status >= 500:
            seconds = answers.retry_after(answer.headers.get("retry-after"))
            if seconds is not None and seconds > self._step.max_outage_seconds:
                raise self._stopping.unusable(f"it asks to wait {seconds:.0f} seconds ({fault})")
            if status in _BUSY and seconds is not None:
                self._limiter.pause(seconds)
            raise _FailedError(fault, seconds, status in _BUSY, status in _BUSY)
        if status < 400:
            fault = f"{fault} It redirects to {answer.headers.get('location', 'nothing')!r}"
        raise self._stopping.unusable(f"{_FATAL.get(status, 'it refuses the request')} ({fault})")

    def _refusal(self, fault: str) -> CurateError:
        """Returns the error for a request that the endpoint refuses. The error is one of the
        record. But if at least `REFUSED` requests got no reply, and no request got a reply, the
        error stops the run."""
        if self._stopping.has_refused_all():
            return self._stopping.unusable(f"it refused the first {REFUSED} requests ({fault})")
        self._stopping.refused()
        return ReplyError(f"the endpoint refuses the request: {fault}", fix=_shorter(self._step))

    def _unreadable(self, fault: str) -> Exception:
        """Returns the error for an answer of status 200 without a reply, such as a page of a proxy.
        After this error the request may be sent again. But if at least `REFUSED` requests got no
        reply, and no request got a reply, the error stops the run."""
        if self._stopping.has_refused_all():
            return self._stopping.unusable(f"its first {REFUSED} answers have no reply ({fault})")
        return _FailedError(fault)

    def _shown(self, text: str) -> str:
        return on_one_line(self._without_key(text))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, HIDDEN) if self._key else text


def _answered(futures: Sequence[Future[Any] | None]) -> tuple[int, ...]:
    """Returns the positions in `futures` at which a request is completed, or at which there is no
    request (None)."""

    def is_answered(future: Future[Any]) -> bool:
        return future.done() and not future.cancelled() and future.exception() is None

    return tuple(n for n, one in enumerate(futures) if one is None or is_answered(one))


def _shorter(step: RequestStep) -> str:
    """Returns how to make the requests of a step shorter, by settings that it has."""
    names = [f"`{name}`" for name in _SIZES if name in type(step).model_fields]
    return f"If the request is too long, lower {' or '.join(names)}." if names else ""
