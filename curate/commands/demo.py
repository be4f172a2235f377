"""`curate demo`: a small corpus that makes itself, and a recipe run over it."""

from __future__ import annotations

import argparse

from curate import demo, recipe
from curate.commands.run import execute, ledger_table, where
from manifests import storage


def main(options: argparse.Namespace) -> int:
    path = demo.make(options.out)
    print(f"a corpus of captioned drawings, and the recipe {path}")
    out = storage.join(options.out, "out")
    made = execute(recipe.load(path, base=options.out), out, options)
    print(ledger_table(made.ledger))
    print()
    print(where(made, out))
    return 0
