"""`curate run`: run a recipe from sources to shards, and print how many records each step kept,
dropped and quarantined."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from curate import recipe
from curate.commands.tables import count, size, table
from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.run import Run, transient_count
from curate.recipe import Loaded
from manifests import storage
from manifests.run.counted import Counted
from manifests.run.file_names import RUN_QUARANTINE
from manifests.run.ledger import Account
from manifests.run.manifest import RunManifest


def main(options: argparse.Namespace) -> int:
    loaded = recipe.load(options.recipe, options.set)
    made = execute(loaded, options.out, options)
    print(ledger_table(made.ledger))
    print()
    print(counted_table(made.counted))
    print()
    print(summary(made, options.out))
    return 0


def execute(loaded: Loaded, out: str, options: argparse.Namespace) -> RunManifest:
    """Run a recipe with the executor that the command-line options select."""
    storage.make_folder(out)
    retry = getattr(options, "retry", False)
    with executor(options) as running:
        return Run(loaded, out, running, Progress(options.quiet), retry)()


def executor(options: argparse.Namespace) -> Any:
    """Return a context manager for the executor: this process (`--inline`), otherwise Ray."""
    if options.inline:
        return contextlib.nullcontext(Inline())
    from curate.engine.ray import RayExecutor

    return RayExecutor(options.workers, options.address, options.quiet)


def ledger_table(accounts: list[Account]) -> str:
    """Format a table with one line for each step: the numbers of rows that came in, were kept, were
    dropped and were quarantined, and the reasons."""
    head = ("step", "in", "kept", "dropped", "quarantined", "why")
    rows = [
        (
            account.step,
            account.rows_in,
            account.kept,
            account.rows_dropped,
            account.rows_quarantined,
            ", ".join(f"{why} {n:,}" for why, n in _reasons(account)),
        )
        for account in accounts
    ]
    return table(head, rows)


def counted_table(counted: list[Counted]) -> str:
    """Format one line for each source and unit (files, lines, rows, ...): how many of these units
    are on disk, how many became records, how many failed, and how many were not used."""
    width = max((len(entry.source) for entry in counted), default=0)
    return "\n".join(f"{entry.source:<{width}}  {entry}" for entry in counted)


def _reasons(account: Account) -> list[tuple[str, int]]:
    others = [("made", account.made), ("passed over", account.passed_over)]
    shown = [other for other in others if other[1]]
    return [*shown, *account.dropped.items(), *account.quarantined.items()]


def summary(made: RunManifest, out: str) -> str:
    """Describe what the run made, where it is stored, and which command to run next."""
    lines = []
    for name, entry in made.shards.items():
        counts = f"{count(len(entry.shards), 'shard')}, {count(entry.rows, 'row')}"
        folder = storage.join(out, entry.folder)
        lines.append(f"{name:<11} {counts}, {size(entry.size_bytes)}   {folder}")
    quarantined = sum(account.rows_quarantined for account in made.ledger)
    place = storage.join(out, RUN_QUARANTINE)
    lines.append(f"quarantine  {count(quarantined, 'input')}   {place}")
    if again := transient_count(out):
        lines.append(f"            {again:,} of them may succeed now: run again with --retry")
    lines.append(f"manifest    {made.digest}   {storage.join(out, 'manifest.json')}")
    lines.append(f"next:       curate show {out}")
    return "\n".join(lines)
