"""The command line: what there is to type, and what each exit code means.

Exit codes: 0 done; 1 an error while running; 2 a mistake in the recipe or the command; 3 over the
error budget; 4 what was compared or verified differs; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import sys

import curate

OK, FAILED, MISTAKE, OVER_BUDGET, DIFFERS, INTERRUPTED = 0, 1, 2, 3, 4, 130

_EPILOG = """\
exit codes: 0 done; 1 an error while running; 2 a mistake in the recipe or the command;
3 over the error budget; 4 what was compared or verified differs; 130 interrupted

start with:  curate demo      or:  curate init recipe.yaml
"""


def run(arguments: list[str]) -> int:
    """Parse, run, and turn what a user can cause into one line and an exit code."""
    options = parser().parse_args(arguments)
    from manifests.errors import BudgetError, CurateError, RecipeError

    try:
        command = importlib.import_module(f"curate.commands.{options.command}")
        return int(command.main(options))
    except RecipeError as error:
        return _say(error, MISTAKE)
    except BudgetError as error:
        return _say(error, OVER_BUDGET)
    except CurateError as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        return _say("interrupted. What is done is kept: the same command goes on from there.",
                    INTERRUPTED)  # fmt: skip
    except BrokenPipeError:
        sys.stderr.close()
        return OK


def _say(error: object, code: int) -> int:
    print(f"curate: {error}", file=sys.stderr)
    return code


def parser() -> argparse.ArgumentParser:
    """All commands and their options; nothing heavy is imported to show them."""
    top = argparse.ArgumentParser(
        prog="curate",
        description=curate.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"curate {curate.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a recipe: from sources to shards")
    _recipe(run)
    _out(run)
    _executor(run)
    run.add_argument(
        "--retry", action="store_true", help="read again what held inputs that were quarantined"
    )

    plan = commands.add_parser("plan", help="print what would run, and what is done already")
    _recipe(plan)
    _out(plan, needed=False)
    _json(plan)

    probe = commands.add_parser("probe", help="measure a sample and drop nothing")
    _recipe(probe)
    probe.add_argument("--rows", type=int, default=2000, help="records to look at (default 2000)")
    _json(probe)

    verify = commands.add_parser("verify", help="check every digest and the ledger of a run")
    verify.add_argument("run", help="the folder of a run")
    _json(verify)

    explain = commands.add_parser("explain", help="the whole story of a record")
    explain.add_argument("run", help="the folder of a run")
    explain.add_argument("record", nargs="?", help="its id, the start of its id, or its origin")
    explain.add_argument("--quarantine", action="store_true", help="list what could not be read")
    _json(explain)

    duplicates = commands.add_parser("duplicates", help="the largest families of duplicates")
    duplicates.add_argument("run", help="the folder of a run")
    duplicates.add_argument("--top", type=int, default=10, help="families to list (default 10)")
    duplicates.add_argument(
        "--members", type=int, default=3, help="dropped records to tell of each (default 3)"
    )
    duplicates.add_argument("--step", help="only families of this step")
    _json(duplicates)

    distinct = commands.add_parser("distinct", help="count different texts, images and n-grams")
    distinct.add_argument("run", help="the folder of a run")
    distinct.add_argument("--ngram", type=int, default=5, help="words in an n-gram (default 5)")
    _executor(distinct)
    _json(distinct)

    diff = commands.add_parser("diff", help="what differs between two runs")
    diff.add_argument("run", help="the folder of a run")
    diff.add_argument("other", help="the folder of another run")
    _json(diff)

    rerun = commands.add_parser("rerun", help="make a run again from its manifest, and compare")
    rerun.add_argument("manifest", help="the manifest of a run, or its folder")
    rerun.add_argument("-o", "--out", help="where to (default: beside it, ending in -rerun)")
    rerun.add_argument("--base", help="the folder the recipe's relative paths start from")
    _executor(rerun)
    _json(rerun)

    show = commands.add_parser("show", help="look at a few records")
    show.add_argument("run", help="the folder of a run")
    show.add_argument("records", nargs="*", metavar="ID", help="ids, their starts, or origins")
    show.add_argument("-n", type=int, default=3, help="how many (default 3)")
    show.add_argument("--source", help="only records of this source")
    show.add_argument("--dropped", action="store_true", help="records that were dropped, and why")
    show.add_argument("--quarantined", action="store_true", help="what could not be read, and why")
    show.add_argument(
        "--image",
        nargs="?",
        const="curate-images",
        metavar="WHERE",
        help="draw boxes, points, polygons and 3D boxes on the images, into this folder, or into "
        "this .png where there is one image (default curate-images)",
    )
    show.add_argument("--base", help="where relative paths of images start (default: as the run)")
    _json(show)

    for name, what in (("steps", "a step, a preset"), ("readers", "a reader")):
        listing = commands.add_parser(name, help=f"list the {name}, or read the manual of one")
        listing.add_argument("name", nargs="?", help=what)
        _json(listing)

    schema = commands.add_parser("schema", help="the JSON Schema of a recipe, for editors")
    schema.add_argument("--record", action="store_true", help="the columns of a record instead")
    _json(schema)

    commands.add_parser("warm", help="compile all loops now, so that no run waits for it")

    demo = commands.add_parser("demo", help="make a small corpus and run a recipe over it")
    demo.add_argument("-o", "--out", default="curate-demo", help="where to (default curate-demo)")
    _executor(demo)

    init = commands.add_parser("init", help="write a commented recipe to start from")
    init.add_argument("path", nargs="?", default="recipe.yaml", help="default: recipe.yaml")
    return top


def _recipe(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", help="a recipe (YAML)")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="change a setting, such as steps.words.min=5; may be given several times",
    )


def _out(command: argparse.ArgumentParser, needed: bool = True) -> None:
    command.add_argument("-o", "--out", required=needed, help="the folder of the run")


def _executor(command: argparse.ArgumentParser) -> None:
    command.add_argument("--inline", action="store_true", help="in this process, without Ray")
    command.add_argument("--workers", type=int, help="parallel tasks (default: all CPUs of Ray)")
    command.add_argument("--address", help="a Ray cluster (default: RAY_ADDRESS, or a local Ray)")
    command.add_argument("-q", "--quiet", action="store_true", help="no progress")


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for machines")
