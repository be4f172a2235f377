"""The commands of the command line and their options."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import curate
from curate.shared_options import (
    add_executor,
    add_flag,
    add_json,
    add_out,
    add_recipe,
    add_run_folder,
    at_least,
)

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_EPILOG = """\
exit codes: 0 done; 1 an error while running; 2 a mistake in the recipe or the command;
3 more quarantined inputs than max_quarantined allows, or a budget of requests is used up;
4 diff, rerun or verify found a difference; 130 interrupted, by Ctrl-C or SIGTERM

start with:  curate demo      or:  curate init recipe.yaml
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands and their options. Building it imports no large packages."""
    top = argparse.ArgumentParser(
        prog="curate",
        description=curate.__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"curate {curate.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_running(commands)
    _add_inspection(commands)
    _add_comparison(commands)
    _add_manuals(commands)
    _add_beginning(commands)
    for command in commands.choices.values():
        add_flag(command, "--debug", "if there is an error, print its traceback too")
    return top


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Parse the arguments. The error for an unknown option shows the usage of the command; with
    `parse_args` it would show the usage of `curate`."""
    top = parser()
    options, unknown = top.parse_known_args(arguments)
    if unknown:
        commands = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
        commands.choices[options.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _add_running(commands: Commands) -> None:
    _add_run(commands)
    _add_plan(commands)
    probe = commands.add_parser(
        "probe",
        help="measure a sample of the records, and count how many each step would remove",
    )
    add_recipe(probe)
    probe.add_argument(
        "--rows",
        type=at_least(1),
        default=2000,
        help="maximum number of records to measure; if there are more sources, one record of each "
        "(default 2000)",
    )
    add_json(probe)


def _add_run(commands: Commands) -> None:
    run = commands.add_parser("run", help="run a recipe, from sources to shards")
    add_recipe(run)
    add_out(run)
    add_executor(run)
    add_flag(
        run,
        "--retry",
        "process quarantined inputs again; a part with such inputs is processed again as a "
        "whole, but a costly step, such as one that calls a model, repeats only rows with a "
        "transient error",
    )
    run.add_argument(
        "--until",
        metavar="STEP",
        help="run only the passes before this step, so that `curate plan` can count the requests "
        "of the step; the same command without this option continues the run",
    )


def _add_plan(commands: Commands) -> None:
    plan = commands.add_parser(
        "plan",
        help="list the passes over the data that a recipe needs, and which of them are done",
    )
    add_recipe(plan)
    plan.add_argument(
        "-o",
        "--out",
        help="folder of a run, to see which of its passes are done, and what its request steps "
        "will ask and cost; without a folder, no pass counts as done",
    )
    plan.add_argument(
        "--sample",
        type=at_least(1),
        default=0,
        metavar="N",
        help="send N requests of each request step, which costs money, and forecast from their "
        "replies what the other requests will cost; a later run finds the replies in the journal",
    )
    add_json(plan)


def _add_inspection(commands: Commands) -> None:
    _add_explain(commands)
    _add_show(commands)
    _add_duplicates(commands)
    _add_clusters(commands)
    _add_distinct(commands)
    _add_journal(commands)


def _add_journal(commands: Commands) -> None:
    journal = commands.add_parser(
        "journal",
        help="count the replies in a journal, what they cost, and how often runs used them",
    )
    journal.add_argument(
        "folder", help="the folder of the journal, as in the setting `journal` of a step"
    )
    journal.add_argument(
        "--prices",
        help="prices in place of those in the journal, such as "
        "input=0.2,output=0.6,request=0,currency=USD (per million tokens; `request`: per request)",
    )
    journal.add_argument(
        "--compact",
        action="store_true",
        help="join the files of the journal into a few larger ones, even while runs use "
        "the journal",
    )
    add_json(journal)


def _add_explain(commands: Commands) -> None:
    explain = commands.add_parser("explain", help="show what happened to one record, step by step")
    add_run_folder(explain)
    explain.add_argument(
        "record",
        nargs="?",
        help=(
            "the record: its id, the start of its id, its origin (file#place), or the end of "
            "its origin"
        ),
    )
    add_flag(
        explain,
        "--quarantine",
        "list all inputs and records that had an error, instead of one record",
    )
    add_json(explain)


def _add_duplicates(commands: Commands) -> None:
    duplicates = commands.add_parser(
        "duplicates",
        help="list the largest families, which are groups of records that duplicate each other",
    )
    add_run_folder(duplicates)
    duplicates.add_argument(
        "--top", type=at_least(1), default=10, help="families to list (default 10)"
    )
    duplicates.add_argument(
        "--members",
        type=at_least(0),
        default=3,
        help="dropped records to list for each family (default 3)",
    )
    duplicates.add_argument(
        "--pairs",
        metavar="FOLDER",
        help="instead of listing families, count pairs of images by the distance of their hashes, "
        "and draw some pairs of each distance into this folder",
    )
    duplicates.add_argument(
        "--each",
        type=at_least(0),
        default=8,
        help="--pairs: pairs to draw for each distance, at most (default 8)",
    )
    duplicates.add_argument(
        "--base",
        help="--pairs: folder to which relative paths of images refer (default: as in the run)",
    )
    duplicates.add_argument(
        "--step",
        help="list only families that the step of this name found; --pairs: use the `distance` and "
        "`colour_distance` of this step",
    )
    add_json(duplicates)


def _add_clusters(commands: Commands) -> None:
    clusters = commands.add_parser(
        "clusters",
        help="list the clusters of a run: size, sparse records, density, terms, nearest records",
    )
    add_run_folder(clusters)
    clusters.add_argument(
        "--step", help="list the clusters of the step of this name (default: the first such step)"
    )
    clusters.add_argument(
        "--sort",
        choices=("size", "sparsity"),
        default="size",
        help="list the largest clusters first, or those with the largest share of sparse records "
        "(default size)",
    )
    clusters.add_argument(
        "--limit",
        type=at_least(0),
        default=20,
        metavar="N",
        help="clusters to list; 0: all (default 20)",
    )
    clusters.add_argument(
        "--html", metavar="FILE", help="also write a page with example images to this file"
    )
    clusters.add_argument(
        "--base",
        help="--html: folder to which relative paths of images refer (default: as in the run)",
    )
    add_json(clusters)


def _add_distinct(commands: Commands) -> None:
    distinct = commands.add_parser(
        "distinct",
        help="estimate the number of different texts, images and n-grams that a run read and wrote",
    )
    add_run_folder(distinct)
    distinct.add_argument(
        "--ngram", type=at_least(2), default=5, help="number of words in an n-gram (default 5)"
    )
    add_executor(distinct)
    add_json(distinct)


def _add_show(commands: Commands) -> None:
    show = commands.add_parser("show", help="print a few records of a run")
    add_run_folder(show)
    show.add_argument(
        "records",
        nargs="*",
        metavar="ID",
        help="records to print: ids, starts of ids, origins (file#place), or ends of origins that "
        "follow a / or a #",
    )
    show.add_argument(
        "-n", type=at_least(1), default=3, help="number of records, if none is named (default 3)"
    )
    show.add_argument("--source", help="print only records of this source")
    show.add_argument(
        "--step",
        help="--dropped, --quarantined: print only records of the step of this name; --prompt: the "
        "step that sends the requests, needed if several steps ask a model",
    )
    add_flag(show, "--dropped", "print dropped records with their reasons instead")
    add_flag(show, "--quarantined", "print quarantined inputs with their errors instead")
    show.add_argument(
        "--prompt",
        metavar="ID",
        help="print what a step would send to its model about this record, and the reply in the "
        "journal of the step; nothing is sent",
    )
    show.add_argument(
        "--image",
        nargs="?",
        const="curate-images",
        metavar="PATH",
        help="draw boxes, points, polygons and 3D boxes on the images; PATH is a folder, or an "
        "image file if there is only one image (default curate-images)",
    )
    show.add_argument(
        "--base", help="folder to which relative paths of images refer (default: as in the run)"
    )
    add_json(show)


def _add_comparison(commands: Commands) -> None:
    verify = commands.add_parser(
        "verify",
        help="check that the files of a run are intact, and that its numbers of records agree",
    )
    add_run_folder(verify)
    add_flag(verify, "--no-inputs", "check only the output: do not list and count the inputs again")
    verify.add_argument(
        "--base", help="folder to which relative paths of inputs refer (default: as in the run)"
    )
    add_json(verify)

    diff = commands.add_parser("diff", help="list what differs between two runs")
    add_run_folder(diff)
    diff.add_argument("other", help="the folder of another run")
    add_json(diff)

    rerun = commands.add_parser(
        "rerun", help="run the recipe of an earlier run again, and compare the results"
    )
    rerun.add_argument("manifest", help="the manifest.json of a run, or the folder of the run")
    rerun.add_argument(
        "-o", "--out", help="folder of the new run (default: the old folder's name + -rerun)"
    )
    rerun.add_argument(
        "--base",
        help="folder to which relative paths of the recipe refer (default: as in the run)",
    )
    add_executor(rerun)
    add_json(rerun)


def _add_manuals(commands: Commands) -> None:
    for name, listed, what in (
        ("steps", "steps and presets", "name of a step or a preset"),
        ("readers", "readers", "name of a reader"),
    ):
        listing = commands.add_parser(
            name, help=f"list all {listed}, or print the manual page of one"
        )
        listing.add_argument("name", nargs="?", help=what)
        add_json(listing)

    schema = commands.add_parser("schema", help="print the JSON Schema of recipes, for editors")
    add_flag(schema, "--record", "print the columns of a record instead")
    add_json(schema)


def _add_beginning(commands: Commands) -> None:
    commands.add_parser("warm", help="compile all numba functions now, so that runs start faster")

    demo = commands.add_parser("demo", help="make a small example data set, and run a recipe on it")
    demo.add_argument(
        "-o",
        "--out",
        default="curate-demo",
        help="folder for the data set and the run (default curate-demo)",
    )
    add_flag(
        demo,
        "--serve",
        "only run the server that answers the requests of the demo's recipe, until Ctrl-C",
    )
    add_executor(demo)

    init = commands.add_parser("init", help="write a commented recipe to start from")
    init.add_argument(
        "path", nargs="?", default="recipe.yaml", help="file to write (default recipe.yaml)"
    )
