"""`curate demo`: make a small corpus, and run a recipe over it. A server on this machine answers
the requests of the recipe."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from urllib.parse import urlsplit

from curate import demo, demo_server, recipe
from curate.commands.run import execute, ledger_table, summary
from curate.commands.tables import count
from manifests import storage
from manifests.errors import InputError, RecipeError
from manifests.step import RequestStep

_WHO = f"{demo_server.MODEL}, which is no model but a program that measures pixels"


def main(options: argparse.Namespace) -> int:
    if options.serve:
        return _serve(options.out)
    with demo_server.at_a_free_port().serving() as server:
        path = demo.make(options.out, server.endpoint)
        print(f"made a corpus of captioned drawings, and the recipe {path}")
        out = storage.join(options.out, "out")
        made = execute(recipe.load(path, base=options.out), out, options)
    journal = storage.join(options.out, "journal")
    print(ledger_table(made.ledger))
    print(f"\nrecaption   {count(server.answered, 'request')} to {_WHO}")
    print(f"            all replies are in {journal}, so these requests are not sent again\n")
    print(summary(made, out))
    print(f"            curate journal {journal}")
    return 0


def _serve(folder: str) -> int:
    """Answer requests at the address in the demo's recipe until Ctrl-C."""
    place = storage.join(folder, "recipe.yaml")
    if not storage.exists(place):
        fault = "the server answers at the address in this recipe, which does not exist"
        fix = f"Make the demo first: curate demo -o {shlex.quote(folder)}"
        raise RecipeError(fault, place, fix)
    steps = (planned.step for planned in recipe.load(place, base=folder).steps)
    (endpoint,) = (step.endpoint for step in steps if isinstance(step, RequestStep))
    try:
        server = demo_server.DemoServer(urlsplit(endpoint).port or 0)
    except OSError as error:
        fault = f"the server cannot listen at {endpoint}: {error.strerror}"
        raise InputError(fault, place, "Check whether the server is running already.") from None
    print(f"{demo_server.MODEL} answers at {endpoint} until Ctrl-C", flush=True)
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0
