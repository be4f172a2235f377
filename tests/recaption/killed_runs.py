"""Runs that ask a server in a process of its own, so that they can be killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.make import make_image, write_json_lines
from tests.processes import running
from tests.recaption.endpoint import KEY, MODEL
from tests.runs import caption_recipe, environment

ROWS, IN_FLIGHT = int(os.environ.get("CURATE_KILL_ROWS", "300")), 8


@contextlib.contextmanager
def serving(log: Path) -> Iterator[str]:
    """The address of a server in a process of its own, which writes what it is asked to `log`."""
    log.touch()
    command = [sys.executable, "-m", "tests.recaption.endpoint", str(log)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


def run(
    base: Path, out: str, how: tuple[str, ...], mark: str = ""
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    arguments = ("recipe.yaml", "-o", out, "-q", *how)
    return running(base, *arguments, mark=mark, stderr=subprocess.PIPE, VLM_API_KEY=KEY)


def write(base: Path) -> None:
    (base / "data" / "images").mkdir(parents=True)
    for n in range(8):
        (base / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=n))
    rows = [{"caption": f"caption {n}", "image": f"images/{n % 8}.jpg"} for n in range(ROWS)]
    write_json_lines(base / "data" / "0.jsonl", rows)


def write_recipe(base: Path, url: str, **settings: Any) -> None:
    step = {"model": MODEL, "endpoint": url, "max_concurrent": IN_FLIGHT,
            "api_key_variable": "VLM_API_KEY", **settings}  # fmt: skip
    (base / "recipe.yaml").write_text(yaml.safe_dump(caption_recipe(steps=[{"recaption": step}])))
