"""Captions whose tokens are counted in one CPU second: `python -m benchmarks.tokens`.

The captions are those of the real data (the folder CURATE_DATA, `captions/openstax`), each on a
record with an image. The step `tokens`, with the packaged vocabulary and with a tokenizer.json of
the same tokens, is compared with the library `tokenizers` alone, all in the same run and in one
thread. CPU time of one process; best of three. Then all captions as one text, and the CPU seconds
that a worker needs to load each tokenizer.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa
from tokenizers import Tokenizer as Library

from benchmarks.run_step import run_step
from benchmarks.text_steps import rate
from filters.records.tokens import Tokens
from manifests import record
from manifests.media import Media
from manifests.models.qwen_tokenizer import qwen_tokenizer
from manifests.models.tokenizer import Tokenizer
from manifests.models.tokenizer_file import tokenizer_from_file
from manifests.step import Worker
from tests.conftest import REAL
from tests.filters.rows import real_captions
from tests.manifests.models.byte_pairs import tokenizer_json

SIZES = ((640, 480), (1920, 1080), (300, 400))


def records(texts: list[str]) -> pa.Table:
    """Records of an image and a caption."""
    keys = [str(n) for n in range(len(texts))]
    width, height = zip(*islice(cycle(SIZES), len(texts)), strict=True)
    images = record.ImageColumns(
        pa.array(keys), width=pa.array(width, pa.int32()), height=pa.array(height, pa.int32())
    )
    return record.captions("made", keys, pa.array(keys), pa.array(texts), images)


def captions_table(texts: list[str], file: Path, library: Library) -> None:
    batch, empty = records(texts), records([""] * len(texts))
    steps = {"tokens": Tokens(), "tokens, tokenizer.json": Tokens(tokenizer=str(file))}
    works: dict[str, Callable[[], object]] = {
        name: partial(run_step, step, batch, Media(), step.load(Worker("")))
        for name, step in steps.items()
    }
    images = partial(run_step, Tokens(), empty, Media(), qwen_tokenizer())
    works["tokens, texts empty"] = images
    works["tokenizers, encode"] = lambda: [
        len(library.encode(text, add_special_tokens=False)) for text in texts
    ]
    print(f"{'captions':28}{'rows/CPU-s':>12}")
    for name, work in works.items():
        print(f"{name:28}{rate(work, len(texts)):12,.0f}", flush=True)


def long_text_table(text: str, tokenizers: dict[str, Tokenizer]) -> None:
    print(f"\n{f'a text of {len(text) / 1e6:.2f} M':28}{'characters/CPU-s':>18}")
    for name, tokenizer in tokenizers.items():
        print(f"{name:28}{rate(partial(tokenizer.count, text), len(text)):18,.0f}", flush=True)


def loading_table(data: bytes) -> None:
    print(f"\n{'loading':28}{'CPU seconds':>12}")
    loads: dict[str, Callable[[], object]] = {
        "qwen": qwen_tokenizer.__wrapped__,
        "tokenizer.json": partial(tokenizer_from_file, data, "tokenizer.json"),
    }
    for name, load in loads.items():
        start = time.process_time()
        load()
        print(f"{name:28}{time.process_time() - start:12.2f}")


def main() -> None:
    texts = [text for text in real_captions(REAL) if text]
    print(f"{len(texts):,} captions, {sum(map(len, texts)) / len(texts):.0f} characters on average")
    data = tokenizer_json()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_bytes(data)
        captions_table(texts, file, Library.from_buffer(data))
    both = {"qwen": qwen_tokenizer(), "tokenizer.json": tokenizer_from_file(data, "")}
    long_text_table("\n".join(texts), both)
    loading_table(data)


if __name__ == "__main__":
    main()
