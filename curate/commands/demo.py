"""`curate demo`: make a small corpus, and run a recipe over it."""

from __future__ import annotations

import argparse

from curate import demo, recipe
from curate.commands.run import execute, ledger_table, summary
from manifests import storage


def main(options: argparse.Namespace) -> int:
    path = demo.make(options.out)
    print(f"made a corpus of captioned drawings, and the recipe {path}")
    out = storage.join(options.out, "out")
    made = execute(recipe.load(path, base=options.out), out, options)
    print(ledger_table(made.ledger))
    print()
    print(summary(made, out))
    return 0
