"""Forecasts what the request steps of a recipe will ask and cost. The passes before a step must be
done, because the forecast reads their records.

Requests and input tokens are counted: every request is built, but not sent, and the journal is
searched for its reply. Output tokens, money and time are estimated from replies that were paid for.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from curate.engine import part_files
from curate.engine.fused import joint_batch_rows
from curate.engine.halving import RaisedRows, halving
from curate.engine.inline import Inline
from curate.engine.media_options import MediaOptions
from curate.engine.part_view import PartView
from curate.engine.passes import MeasurePass, Pass, RunContext, State
from curate.engine.progress import Progress
from curate.engine.step_errors import naming
from curate.recipe import Loaded
from manifests import storage
from manifests.errors import RowError
from manifests.media import Media
from manifests.run import manifest, payer
from manifests.run.bill import Bill
from manifests.run.file_names import STEPS
from manifests.run.lock import holding
from manifests.run.manifest import PassManifest
from manifests.step import Budget, Context, Prices, Request, RequestStep, Worker, requests_of

if TYPE_CHECKING:
    from recaption.client.outlook import Estimate, Look, Outlook, Paid

THREADS = 8
"""The number of requests whose images are read at the same time (our choice). Threads help because
hashing releases the interpreter's lock."""
ENOUGH = 20
"""The smallest number of replies to requests about the same records from which an estimate is made.
If there are fewer, all replies to the same prompt are used (our choice)."""


class Forecast(NamedTuple):
    """What a request step will ask and cost.

    `records` is the number of records that the step has not processed yet; it has processed `done`
    others. About the unprocessed records, `requests` different requests can be made. `failing`
    further requests cannot be made, for example because an image is missing. The journal has the
    replies to `in_journal` of the requests. `input_tokens` is the number of input tokens of the
    requests without a reply, not counting the tokens that a chat template adds.

    `counted_by` describes how the tokens are counted, and `is_exact` is true if a vocabulary is
    used. `estimate` is None if there is nothing to ask, or no reply from which to estimate. `spent`
    is what all runs in the folder have paid for the step.
    """

    step: str
    records: int
    done: int
    failing: int
    requests: int
    in_journal: int
    input_tokens: int
    counted_by: str
    is_exact: bool
    estimate: Estimate | None
    spent: Bill

    @property
    def to_ask(self) -> int:
        return self.requests - self.in_journal

    def end(self, budget: Budget) -> BudgetEnd | None:
        """Return which limit of the budget is reached first, and where; None if no limit is
        reached, or if this is not known."""
        return min(self._ends(budget), key=lambda end: end.records, default=None)

    def _ends(self, budget: Budget) -> Iterator[BudgetEnd]:
        cost, spent = self.estimate, self.spent
        needed: dict[str, tuple[float, float]]
        needed = {"requests": (spent.requests, cost.requests if cost else self.to_ask)}
        if cost:
            needed["tokens"] = (spent.tokens, cost.input_tokens + cost.output_tokens)
            needed["money"] = (spent.money, cost.money)
        for name, (paid, more) in needed.items():
            most = getattr(budget, name)
            if most is not None and paid + more > most:
                answered = self.in_journal + self.to_ask * max(most - paid, 0) / more
                records = int(self.records * answered / self.requests)
                yield BudgetEnd(name, most, paid, more, records)


class BudgetEnd(NamedTuple):
    """States that a budget will be used up after about `records` of the remaining records. `name`
    is the kind of the budget, and `most` its limit. `spent` is the amount that is already spent,
    and `more` the amount that all remaining records together need."""

    name: str
    most: float
    spent: float
    more: float
    records: int


def done(out: str, planned: Pass[Any]) -> PassManifest | None:
    """Return the manifest of a pass if the pass is done in the folder `out`; None otherwise."""
    place = storage.join(out, STEPS, planned.folder_name)
    there = storage.size_and_stamp(storage.join(place, manifest.NAME))
    found = manifest.load_pass(place) if there else None
    return found if found and found.fingerprint == planned.fingerprint else None


def forecasts(
    loaded: Loaded, passes: Sequence[Pass[Any]], out: str, sample: int
) -> dict[str, Forecast | None]:
    """Return the forecast of each request step, by the name of the step; None for a step if passes
    before it are not done. For each step, `sample` requests are sent; the run in the folder `out`
    pays for them."""
    full, base = storage.absolute(out), storage.absolute(loaded.base)
    steps = storage.join(full, STEPS)
    media = MediaOptions(base, steps, loaded.recipe.media, loaded.recipe.max_cpu_seconds)
    run = RunContext(full, steps, media, Inline(), Progress())
    found: dict[str, Forecast | None] = {}
    state: State | None = State()
    for planned in passes:
        if isinstance(planned, MeasurePass) and isinstance(planned.step.step, RequestStep):
            known = None if state is None else _Requests(run, planned, state.parts)
            found[planned.step.name] = None if known is None else known.forecast(sample)
        made = None if state is None else done(out, planned)
        state = None if state is None or made is None else planned.after(run, state, made.parts)
    return found


@dataclass
class _Sums:
    """The totals over all requests of a step. `keys` are the keys of the different requests. `paid`
    states the costs of the replies that the journal has, and `prompts` how many requests have each
    prompt. `chosen` are the requests of the sample: those with the smallest hashes of their
    keys."""

    failing: int = 0
    in_journal: int = 0
    input_tokens: int = 0
    keys: set[bytes] = field(default_factory=set)
    paid: list[Paid] = field(default_factory=list)
    prompts: Counter[str] = field(default_factory=Counter)
    chosen: list[tuple[int, bytes, Request]] = field(default_factory=list)


class _Requests:
    """The requests of a step about the records that it has not processed yet."""

    def __init__(self, run: RunContext, planned: MeasurePass, views: tuple[PartView, ...]) -> None:
        self._run, self._pass, self._planned = run, planned, planned.step
        step = planned.step.without_bounds()
        assert isinstance(step, RequestStep)
        self._step, folder = step, planned.folder(run)
        commits = {view.name: part_files.load_commit(folder, view.name) for view in views}
        self._views = [v for v in views if not _is_made(v, commits[v.name])]
        self._done = sum(view.rows for view in views) - sum(view.rows for view in self._views)

    def forecast(self, sample: int) -> Forecast:
        from recaption.client.outlook import Outlook

        outlook, records, sums = Outlook(self._step, self._run.media.base), 0, _Sums()
        with self._reading() as (media, requests_of_batch):
            title = f"count the requests of {self._planned.name}"
            with self._run.progress.show(title, len(self._views)) as bar:
                for view in self._views:
                    for batch in self._batches(view):
                        records += batch.num_rows
                        self._add(sums, requests_of_batch(batch), outlook, media, sample)
                        media.forget()
                    bar.step([])
            sampled = self._sampled(sums, media) if sums.chosen else []
        return Forecast(
            self._planned.name, records, self._done, sums.failing, len(sums.keys),
            sums.in_journal, sums.input_tokens, outlook.counter.name, outlook.counter.is_exact,
            self._estimate(sums, sampled, outlook), self._spent(),
        )  # fmt: skip

    def _spent(self) -> Bill:
        name = self._planned.name
        return payer.load_bill(payer.payer_of(self._run.out, "", name).bill, name)

    def _estimate(self, sums: _Sums, sampled: list[Paid], outlook: Outlook) -> Estimate | None:
        from recaption.client.outlook import SAME_RECORDS, SAMPLE, from_history, from_paid

        rest, prices = len(sums.keys) - sums.in_journal, self._step.prices or Prices()
        if not rest:
            return None
        if sampled:
            return from_paid(sampled, rest, sums.input_tokens, prices, SAMPLE)
        if len(sums.paid) >= ENOUGH:
            return from_paid(sums.paid, rest, sums.input_tokens, prices, SAME_RECORDS)
        known = [outlook.history[prompt] for prompt in sums.prompts]
        return from_history(known, rest, sums.input_tokens, prices)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        """Open the media of the run and load the step, for a `with` block. Yield the media, and a
        function that returns the requests about a batch."""
        options = self._run.media
        with (
            contextlib.closing(options.open(self._step.images())) as media,
            contextlib.ExitStack() as stack,
        ):
            with naming(self._planned, "load"):
                model = self._step.load(Worker(options.base, 0, options.limits))
            if hasattr(model, "close"):
                stack.callback(model.close)
            seed = self._planned.seed(self._pass.seed)
            yield media, partial(self._made, Context(media, _no_blobs, seed, model))

    def _batches(self, view: PartView) -> Iterator[pa.Table]:
        """Yield the rows of a part that the step processes, with the column `origin` and the
        columns that the step reads."""
        planned = self._planned
        columns = tuple(dict.fromkeys((*planned.reads, *(planned.only or {}), "origin")))
        for batch in view.read(joint_batch_rows([planned]), columns):
            mask = planned.row_mask(batch)
            yield batch if mask is None else batch.filter(pa.array(mask))

    def _made(self, context: Context, batch: pa.Table) -> list[Request | None]:
        """Return the requests about the rows of a batch. For a row on which the step raises an
        error, the list has None."""
        if not batch.num_rows:
            return []

        def call(start: int, rows: int) -> list[Request | None]:
            asked = self._step.requests(self._planned.given(batch.slice(start, rows)), context)
            return [request for one in asked for request in requests_of(one)]

        def failed(row: int, error: Exception) -> list[Request | None]:
            return [None]

        blocks = halving(self._planned, batch, call, failed, RaisedRows())
        return list(itertools.chain.from_iterable(blocks))

    def _add(
        self,
        sums: _Sums,
        requests: list[Request | None],
        outlook: Outlook,
        media: Media,
        sample: int,
    ) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            looks = threads.map(partial(_look, outlook, media), requests)
            for request, look in zip(requests, looks, strict=True):
                if request is None or look is None:
                    sums.failing += 1
                elif look.key not in sums.keys:
                    sums.keys.add(look.key)
                    sums.prompts[request.prompt] += 1
                    if look.paid is not None:
                        sums.in_journal += 1
                        sums.paid.append(look.paid)
                    else:
                        sums.input_tokens += look.tokens
                        self._choose(sums, look.key, request, sample)

    def _choose(self, sums: _Sums, key: bytes, request: Request, sample: int) -> None:
        """Add a request to the sample if the hash of its key is one of the `sample` smallest hashes
        so far."""
        rank = _rank(self._planned.seed(self._pass.seed), key)
        if len(sums.chosen) < sample:
            heapq.heappush(sums.chosen, (-rank, key, request))
        elif sample and -rank > sums.chosen[0][0]:
            heapq.heapreplace(sums.chosen, (-rank, key, request))

    def _sampled(self, sums: _Sums, media: Media) -> list[Paid]:
        """Send the requests of the sample, and return the costs of the requests that got a reply.
        In `sums`, these requests are moved to the requests whose replies the journal has."""
        from recaption.client import Client
        from recaption.client.outlook import Outlook

        run, planned = self._run, self._planned
        requests = [request for _, _, request in sorted(sums.chosen, key=lambda one: one[:2])]
        with holding(run.out, run.progress.warn):
            account = payer.payer_of(run.out, payer.run_id(run.out), planned.name)
            client = Client(self._step, f"step {planned.name}", run.media.base, account)
            with contextlib.closing(client):
                client.ask(requests, media, self._step.fault)
        outlook = Outlook(self._step, run.media.base)
        looks = [look for one in requests if (look := _look(outlook, media, one))]
        answered = [look for look in looks if look.paid]
        sums.in_journal += len(answered)
        sums.input_tokens -= sum(look.tokens for look in answered)
        return [look.paid for look in answered if look.paid]


def _is_made(view: PartView, commit: manifest.Commit | None) -> bool:
    return commit is not None and commit.inputs_digest == view.digest


def _look(outlook: Outlook, media: Media, request: Request | None) -> Look | None:
    """Return what the journal has about a request; None if the request cannot be made."""
    try:
        return None if request is None else outlook.look(request, media)
    except RowError:
        return None


def _rank(seed: int, key: bytes) -> int:
    digest = hashlib.blake2b(key, digest_size=8, key=seed.to_bytes(8, "big")).digest()
    return int.from_bytes(digest, "big")


def _no_blobs(data: bytes | memoryview) -> Any:
    raise AssertionError("a request step stores no bytes while it makes its requests")
