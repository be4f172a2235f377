"""`curate warm`: compile all kernels now, so that no run has to wait for the compiler."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time

from curate.cli import OK
from manifests import kernels


def main(options: argparse.Namespace) -> int:
    start = time.process_time()
    names = [module.name for module in pkgutil.iter_modules(kernels.__path__)]
    for name in names:
        print(f"manifests.kernels.{name}", file=sys.stderr, flush=True)
        importlib.import_module(f"manifests.kernels.{name}")
    print(f"all kernels are compiled, in {time.process_time() - start:.1f} CPU seconds")
    return OK
