"""What a person sees while a pass runs: share done, rate, time left, kept and gone so far.

Quiet when piped: then one line for each pass that did something.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from manifests.run.ledger import Account


class Bar:
    """One pass as it goes."""

    def __init__(self, title: str, tasks: int, shown: Any = None) -> None:
        self.title, self.tasks, self.done, self._shown = title, tasks, 0, shown
        self._start = time.monotonic()
        self.rows_in = self.kept = 0
        self.gone = {"dropped": 0, "quarantined": 0}
        self._bar = shown.add_task(title, total=tasks, said="") if shown else None

    def step(self, ledger: list[Account]) -> None:
        """A part is done."""
        self.done += 1
        if ledger:
            self.rows_in += ledger[0].rows_in
            self.kept += ledger[-1].kept
        self.gone["dropped"] += sum(sum(a.dropped.values()) for a in ledger)
        self.gone["quarantined"] += sum(sum(a.quarantined.values()) for a in ledger)
        if self._shown:
            self._shown.update(self._bar, completed=self.done, said=self.said)

    @property
    def said(self) -> str:
        if not self.rows_in:
            return f"{self.done:,} of {self.tasks:,} parts"
        seconds = max(time.monotonic() - self._start, 1e-3)
        gone = "".join(f", {n:,} {what}" for what, n in self.gone.items() if n)
        return f"{self.rows_in:,} rows, {self.rows_in / seconds:,.0f}/s, {self.kept:,} kept{gone}"


class Progress:
    """Shows passes on a terminal; `quiet` shows nothing at all."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    @contextmanager
    def show(self, title: str, tasks: int, cached: int = 0) -> Iterator[Bar]:
        if self.quiet or not tasks:
            yield Bar(title, tasks)
        elif sys.stderr.isatty():
            with _rich() as shown:
                yield Bar(f"{title} ({cached} parts kept)" if cached else title, tasks, shown)
        else:
            bar = Bar(title, tasks)
            yield bar
            kept = f" ({cached} parts were done before)" if cached else ""
            print(f"{title}: {bar.said}{kept}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


def _rich() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    return Rich(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
