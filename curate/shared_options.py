"""Options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_recipe(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", help="the recipe, a YAML file")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="change a setting of the recipe, such as steps.words.min=5; can be repeated",
    )


def add_run_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", help="the folder of a run")


def add_out(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--out", required=True, help="the folder for the results of the run")


def add_executor(command: argparse.ArgumentParser) -> None:
    add_flag(command, "--inline", "run in one process, without Ray")
    command.add_argument(
        "--workers",
        type=at_least(1),
        help="number of parallel tasks on Ray (default: the number of CPUs of Ray)",
    )
    command.add_argument(
        "--address",
        help=(
            "address of a Ray cluster (default: RAY_ADDRESS, "
            "or a Ray that is started on this machine)"
        ),
    )
    command.add_argument(
        "-q", "--quiet", action="store_true", help="show no progress and no warnings"
    )


def add_json(command: argparse.ArgumentParser) -> None:
    add_flag(command, "--json", "print JSON, for programs")


def at_least(smallest: int) -> Callable[[str], int]:
    """Return a function that converts the text of an option to a whole number, and refuses a number
    below `smallest`."""

    def whole_number(text: str) -> int:
        number = int(text)
        if number < smallest:
            raise argparse.ArgumentTypeError(f"{number} is below {smallest}, the smallest value")
        return number

    return whole_number


def add_flag(command: argparse.ArgumentParser, name: str, meaning: str) -> None:
    command.add_argument(name, action="store_true", help=meaning)
