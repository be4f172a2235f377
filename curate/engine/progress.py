"""Shows the progress of a pass: how many of its tasks are completed, rows per second, time left,
and rows kept and removed.

Without a terminal, it prints one line at the end of each pass that did any work.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from manifests.run.bill import money_text
from manifests.run.ledger import Account
from manifests.run.payer import load_bill
from manifests.visible import on_one_line

BILL_SECONDS, LINE_SECONDS = 1.0, 60.0
"""BILL_SECONDS is the time between two reads of the bill of a request step, which states what the
step has asked and paid. LINE_SECONDS is the time between two printed lines about the bill if there
is no terminal (our choice)."""


class Bar:
    """The progress of one pass with `tasks` tasks. `shown` is the terminal display to which the bar
    is added; None if there is no terminal. `asked` is a text that states what a request step has
    asked and paid so far."""

    def __init__(self, title: str, tasks: int, shown: Any = None) -> None:
        self.title, self.tasks, self.done, self._shown = title, tasks, 0, shown
        self._start = time.monotonic()
        self.rows_in = self.kept = 0
        self.asked = ""
        self.removed = {"dropped": 0, "quarantined": 0}
        self._bar = shown.add_task(title, total=tasks, summary="") if shown else None

    def step(self, ledger: list[Account], is_task: bool = True) -> None:
        """Add the rows of a completed part to the totals, and add 1 to the number of completed
        tasks. `ledger` has the numbers of rows of each step of the pass. A task may make several
        parts, but is counted only with one of them: for the other parts, `is_task` is false, and
        the number of completed tasks stays the same."""
        self.done += is_task
        if ledger:
            self.rows_in += ledger[0].rows_in
            self.kept += ledger[-1].kept
        self.removed["dropped"] += sum(account.rows_dropped for account in ledger)
        self.removed["quarantined"] += sum(account.rows_quarantined for account in ledger)
        self._update()

    def note_bill(self, uri: str) -> None:
        """Show how many requests a request step has sent, and what it has paid. The step writes
        these numbers to the file `uri` again and again."""
        bill = load_bill(uri, "")
        looked = bill.found + bill.requests
        share = f"{bill.found / looked:.0%} from the journal" if looked else ""
        money = money_text(bill.money, bill.currency) if bill.currency else ""
        rate = f"{bill.tokens_per_second:,.0f} tokens/s"
        texts = [f"{bill.requests:,} requests", rate, money, share]
        self.asked = ", ".join(text for text in texts if text)
        self._update()

    def _update(self) -> None:
        if self._shown:
            self._shown.update(self._bar, completed=self.done, summary=self.summary)

    @property
    def summary(self) -> str:
        """A summary, such as `1,200 rows, 400/s, 1,100 kept, 100 dropped`. If no completed part has
        rows, the summary is the number of completed tasks, such as `3 of 8 parts`; for a request
        step, the number of requests and their cost are added."""
        if not self.rows_in:
            asked = f", {self.asked}" if self.asked else ""
            return f"{self.done:,} of {self.tasks:,} parts{asked}"
        seconds = max(time.monotonic() - self._start, 1e-3)
        removed = "".join(f", {n:,} {how}" for how, n in self.removed.items() if n)
        rate = f"{self.rows_in / seconds:,.0f}/s"
        return f"{self.rows_in:,} rows, {rate}, {self.kept:,} kept{removed}"


class Progress:
    """Shows a progress bar for each pass, and prints notes and warnings. With `quiet`, it prints
    only warnings."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    @contextmanager
    def show(self, title: str, tasks: int, done_before: int = 0, bill: str = "") -> Iterator[Bar]:
        """Show a progress bar for `tasks` tasks, in a `with` block. `done_before` is the number of
        other tasks of the pass, which an earlier run has completed. `bill` is the path of the bill
        of a request step; what the bill states is shown too."""
        if self.quiet or not tasks:
            yield Bar(title, tasks)
        elif sys.stderr.isatty():
            done = f" ({done_before} parts done before)" if done_before else ""
            with _rich() as shown:
                bar = Bar(on_one_line(title) + done, tasks, shown)
                with _following(bar, bill):
                    yield bar
        else:
            bar = Bar(title, tasks)

            def line() -> None:
                print(f"{title}: {bar.summary}{done}", file=sys.stderr, flush=True)

            done = f" ({done_before} parts were done before)" if done_before else ""
            with _following(bar, bill, line):
                yield bar
            line()

    def note(self, text: str) -> None:
        """Print a message for the user; print nothing if `quiet` is set."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Print a warning, such as about a damaged file, even if `quiet` is set."""
        print(on_one_line(text), file=sys.stderr, flush=True)


@contextmanager
def _following(bar: Bar, bill: str, line: Callable[[], None] | None = None) -> Iterator[None]:
    """During a `with` block, read the bill at the path `bill` every BILL_SECONDS and show it; do
    nothing if `bill` is empty. `line` is called every LINE_SECONDS, to print a line."""
    if not bill:
        yield
        return
    ended = threading.Event()

    def follow() -> None:
        printed = time.monotonic()
        while not ended.wait(BILL_SECONDS):
            bar.note_bill(bill)
            if line and time.monotonic() - printed >= LINE_SECONDS:
                printed = time.monotonic()
                line()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        bar.note_bill(bill)


def _rich() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    return Rich(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[summary]}"),
        TimeRemainingColumn(),
        console=Console(file=getattr(sys.stderr, "stream", sys.stderr)),  # it moves the cursor
        redirect_stdout=False,
        redirect_stderr=False,
    )
