#!/usr/bin/env python3
"""The commands of a checkout. Each first sets up the environment that it needs.

    python3 dev.py demo          make a small corpus and run a recipe over it, on Ray
    python3 dev.py test          run the tests; all other arguments go to pytest
    python3 dev.py test --fast   leave out tests that start Ray, read real data, or are slow
    python3 dev.py check         run ruff, mypy --strict and import-linter
    python3 dev.py fix           format the code, fix what ruff can fix, regenerate the docs
    python3 dev.py docs          regenerate the parts of docs/ that repeat the code
    python3 dev.py curate        run any other command of curate, such as `curate --help`

It needs Python 3.11 to 3.13 and nothing else. Packages, pinned with hashes in constraints/, are
installed in .venv, or in the folder that CURATE_VENV names.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HOME = Path(__file__).resolve().parent
VENV = Path(os.environ.get("CURATE_VENV", HOME / ".venv"))
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")


CHECKS = [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), ("lint-imports",)]
DOCS = ("python", "-m", "docs.generator")
FIXES = [("ruff", "check", "--fix", "."), ("ruff", "format", "."), DOCS]
FAST = ("-m", "not ray and not real and not slow", "--hypothesis-profile", "fast")


def main(arguments):
    if not arguments or arguments[0] not in ("demo", "test", "check", "fix", "docs", "curate"):
        sys.exit(__doc__)
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        sys.exit(f"curate needs Python 3.11 to 3.13; this is {sys.version.split()[0]}")
    command, rest = arguments[0], arguments[1:]
    set_up("run" if command in ("demo", "curate") else "dev")
    if command == "test":
        keep_compiled()
        fast = [word for word in rest if word == "--fast"] and FAST
        return run("python", "-m", "pytest", *fast, *(word for word in rest if word != "--fast"))
    programs = {"check": CHECKS, "fix": FIXES, "docs": [DOCS]}
    if command in programs:
        return max(run(*program) for program in programs[command])
    return run("python", "-m", "curate", *(["demo"] if command == "demo" else []), *rest)


def run(program, *arguments):
    """Run a program of the environment: in the checkout, but `curate` in the caller's folder."""
    folder = None if arguments[:2] == ("-m", "curate") else HOME
    return subprocess.call([str(BIN / program), *arguments], cwd=folder)


def keep_compiled():
    """Let Python keep compiled modules in the environment: tests start many processes."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(VENV / "compiled")


def set_up(which):
    """Create or update the environment; `dev` contains every package of `run`."""
    marks = {name: VENV / f".curate-{name}" for name in ("run", "dev")}
    wanted = {name: digest(name) for name in marks}
    if any(marks[n].exists() and marks[n].read_text() == wanted[n] for n in {which, "dev"}):
        return
    print(f"setting up {VENV} (once; a few minutes) ...", file=sys.stderr, flush=True)
    venv.create(VENV, with_pip=True, clear=False)
    install("--require-hashes", "-r", str(HOME / "constraints" / f"{which}.txt"))
    install("--require-hashes", "-r", str(HOME / "constraints" / "build.txt"))
    if which == "dev":
        install("--require-hashes", "--no-deps", "-r", str(HOME / "constraints" / "files.txt"))
    install("--no-deps", "--no-build-isolation", "-e", str(HOME))
    run("python", "-m", "curate", "warm")
    marks[which].write_text(wanted[which])


def install(*arguments):
    quiet = ["-q", "--disable-pip-version-check", "--no-input"]
    subprocess.check_call([str(BIN / "python"), "-m", "pip", "install", *quiet, *arguments])


def digest(which):
    pinned = [HOME / "constraints" / f"{name}.txt" for name in (which, "files")]
    files = [*pinned, HOME / "pyproject.toml"]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files) + str(HOME).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
