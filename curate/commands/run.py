"""`curate run`: run a recipe from sources to shards, and print how many records each step kept,
dropped and quarantined."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Iterator
from typing import Any

from curate import recipe
from curate.catalog import STEPS
from curate.commands.tables import count, size, table
from curate.engine.inline import Inline
from curate.engine.planned import PlannedStep
from curate.engine.progress import Progress
from curate.engine.run import Run, transient_count
from curate.recipe import Loaded
from manifests import storage
from manifests.errors import RecipeError, SpentError
from manifests.run import manifest
from manifests.run.bill import money_text
from manifests.run.counted import Counted
from manifests.run.file_names import RUN_QUARANTINE
from manifests.run.ledger import Account
from manifests.run.manifest import RunManifest
from manifests.step import RequestStep
from manifests.step.spelling import nearest


def main(options: argparse.Namespace) -> int:
    loaded = recipe.load(options.recipe, options.set)
    if options.until is not None:
        return _until(loaded, options)
    try:
        made = execute(loaded, options.out, options)
    except SpentError as error:
        raise error.changed(fix=_continuing(loaded, error, options)) from None
    for text in (ledger_table(made.ledger), counted_table(made.counted), bill_table(made)):
        print(text, end="\n\n" if text else "")
    print(summary(made, options.out))
    return 0


def _until(loaded: Loaded, options: argparse.Namespace) -> int:
    """Run the passes before the step that `--until` names, and print the commands to run next."""
    names = [planned.name for planned in loaded.steps]
    if options.until not in names:
        fault = f"the recipe has no step named '{options.until}'."
        raise RecipeError(fault, "the option '--until'", nearest(options.until, names))
    with _run(loaded, options.out, options) as run:
        record = run.until(options.until)
    print(ledger_table(run.accounts()))
    command = [options.recipe, "-o", options.out]
    commands = [["curate", "plan", *command], ["curate", "run", *command]]
    step = next(planned.step for planned in loaded.steps if planned.name == options.until)
    if record and isinstance(step, RequestStep):
        shown = ["--prompt", record, "--step", options.until]
        commands.insert(0, ["curate", "show", options.out, *shown])
    print(f"\nThe passes before {options.until} are done.")
    print("next:       " + "\n            ".join(map(shlex.join, commands)))
    return 0


def execute(loaded: Loaded, out: str, options: argparse.Namespace) -> RunManifest:
    """Run a recipe with the executor that the command-line options select."""
    with _run(loaded, out, options) as run:
        return run()


@contextlib.contextmanager
def _run(loaded: Loaded, out: str, options: argparse.Namespace) -> Iterator[Run]:
    storage.make_folder(out)
    retry = getattr(options, "retry", False)
    with executor(options) as running:
        yield Run(loaded, out, running, Progress(options.quiet), retry)


def _continuing(loaded: Loaded, error: SpentError, options: argparse.Namespace) -> str:
    """Return the advice for a run whose budget is used up: the command that continues the run with
    twice the budget."""
    planned = next(p for p in loaded.steps if p.name == error.step)
    assert isinstance(planned.step, RequestStep)
    assert planned.step.budget is not None
    most = planned.step.budget.model_dump()[error.budget]
    raised = f"{_path(planned)}.budget.{error.budget}={2 * most or 1}"
    changes = [word for one in (*options.set, raised) for word in ("--set", one)]
    command = ["curate", "run", options.recipe, "-o", options.out, *changes]
    command += ["--inline"] if options.inline else []
    for name in ("workers", "address"):
        value = getattr(options, name)
        command += [] if value is None else [f"--{name}", str(value)]
    plan = shlex.join(["curate", "plan", options.recipe, "-o", options.out])
    return (
        f"To see how much the rest needs: {plan}. To continue, raise the budget, for example: "
        f"{shlex.join(command)}."
    )


def executor(options: argparse.Namespace) -> Any:
    """Return a context manager for the executor: this process (`--inline`), otherwise Ray."""
    if options.inline:
        return contextlib.nullcontext(Inline())
    from curate.engine.ray import RayExecutor

    return RayExecutor(options.workers, options.address, options.quiet)


def _path(planned: PlannedStep) -> str:
    """Return the path of a step for the option --set. The first step with a key has the name of
    this key, so its path has this name: `steps.words`. The path of any other step has the position
    of the step in the recipe: `steps.3.words`."""
    walk = [str(one) for one in planned.place]
    walk = [walk[0], walk[2]] if planned.name == walk[2] else walk
    return ".".join(f'"{one}"' if "." in one else one for one in walk)


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


def bill_table(made: RunManifest) -> str:
    """Format a table with one line for each request step: the requests, tokens and money that all
    runs in the folder have spent on the step, and the money per record in the shards. Without
    request steps, return an empty text."""
    if not made.bills:
        return ""
    kept = sum(entry.rows for entry in made.passes if entry.kind == "order")
    head = ("asked by all runs", "requests", "in the journal", "tokens in", "tokens out", "money",
            "money per kept record")  # fmt: skip
    rows = [
        (
            bill.step,
            bill.requests,
            bill.found,
            bill.input_tokens,
            bill.output_tokens,
            money_text(bill.money, bill.currency) if bill.currency else "no prices",
            money_text(bill.money / kept, bill.currency) if bill.currency and kept else "",
        )
        for bill in made.bills
    ]
    notes = [
        f"{bill.step}.status: "
        + ", ".join(f"{status} {n:,}" for status, n in bill.statuses.items())
        for bill in made.bills
        if bill.statuses
    ]
    if counted := sum(bill.counted for bill in made.bills):
        notes.append(
            f"Replies that did not state their tokens, which were counted by curate: {counted:,}."
        )
    return "\n".join([table(head, rows), *notes])


def counted_table(counted: list[Counted]) -> str:
    """Format one line for each source and unit (files, lines, rows, ...): how many of these units
    are on disk, how many became records, how many failed, and how many were not used."""
    width = max((len(entry.source) for entry in counted), default=0)
    return "\n".join(f"{entry.source:<{width}}  {entry}" for entry in counted)


def _reasons(account: Account) -> list[tuple[str, int]]:
    others = [("made", account.made), ("passed over", account.passed_over)]
    shown = [other for other in others if other[1]]
    return [*shown, *account.dropped.items(), *account.quarantined.items()]


def _cluster_commands(made: RunManifest, out: str) -> list[list[str]]:
    """Return the commands that list the clusters of each step that made some."""
    steps = [
        one["name"]
        for entry in made.passes
        if entry.kind == "corpus"
        for one in manifest.load_pass_of(out, entry).steps
        if one.get("kind") == STEPS["cluster"]
    ]
    chosen = [["--step", name] if len(steps) > 1 else [] for name in steps]
    return [["curate", "clusters", out, *step, "--sort", "sparsity"] for step in chosen]


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
    lines += [f"            {shlex.join(command)}" for command in _cluster_commands(made, out)]
    return "\n".join(lines)
