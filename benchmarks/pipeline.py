"""Whole runs of captions: rows per CPU second beside Data-Juicer, memory, and fixed costs.

    python -m benchmarks.pipeline throughput [--data-juicer PYTHON]
    python -m benchmarks.pipeline memory
    python -m benchmarks.pipeline driver
    python -m benchmarks.pipeline fixed

`--data-juicer`: the Python of an environment that has py-data-juicer 1.6.1; its two filters run on
the same file in the same call. All processes of a command are counted, Ray's included.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.measure import Cost, cost
from benchmarks.text_steps import captions

Steps = list[dict[str, dict[str, object]]]
CURATE = [sys.executable, "-m", "curate"]
STEPS: Steps = [
    {"words": {"min": 3, "max": 256}},
    {"characters": {"min": 6}},
    {"alphanumeric": {"min": 0.25}},
    {"character_repetition": {"max": 0.5}},
    {"word_repetition": {"max": 0.5}},
    {"language": {}},
]
TWO_FILTERS: Steps = [
    {"characters": {"min": 10, "max": 100_000}},
    {"alphanumeric": {"min": 0.25}},
]
DATA_JUICER = [
    {"text_length_filter": {"min_len": 10, "max_len": 100000}},
    {"alphanumeric_filter": {"min_ratio": 0.25}},
]


def corpus(folder: Path, rows: int) -> Path:
    """JSON lines of captions, 50,000 a file."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = captions(min(rows, 200_000)).to_pylist()
    for start in range(0, rows, 50_000):
        with open(folder / f"{start // 50_000:04d}.jsonl", "w") as out:
            for row in range(start, min(rows, start + 50_000)):
                text = texts[row % len(texts)]
                out.write(json.dumps({"id": row, "text": text}, ensure_ascii=False) + "\n")
    return folder


def recipe(base: Path, path: str, steps: Steps, **shards: object) -> Path:
    source = {"name": "made", "reader": "table", "path": path, "text": "text"}
    content = {"name": "benchmark", "sources": [source], "steps": steps, "shards": shards}
    (base / "recipe.yaml").write_text(yaml.safe_dump(content))
    return base / "recipe.yaml"


def curate(base: Path, out: str, *options: str) -> Cost:
    return cost([*CURATE, "run", "recipe.yaml", "-o", out, "-q", *options], base)


def throughput(rows: int, data_juicer: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        corpus(base / "data", rows)
        recipe(base, "data/*.jsonl", STEPS)
        curate(base, "warm", "--inline")
        print(f"{rows:,} captions, JSON lines in, six text steps, Arrow shards out")
        _line("curate --inline", rows, curate(base, "inline", "--inline"))
        _line("curate on Ray", rows, curate(base, "ray"))
        small = base / "small"
        corpus(small / "data", 1000)
        recipe(small, "data/*.jsonl", STEPS)
        for name, options in (("inline", ["--inline"]), ("ray", [])):
            _line(f"  1,000 rows, {name}: start-up", 1000, curate(small, name, *options))
        if data_juicer:
            recipe(base, "data/*.jsonl", TWO_FILTERS)
            print(f"{rows:,} captions through two filters, text length and alphanumeric share")
            _line("curate --inline", rows, curate(base, "two", "--inline"))
            _line("curate on Ray", rows, curate(base, "two-ray"))
            _data_juicer(base, data_juicer, rows)


def _line(name: str, rows: int, known: Cost) -> None:
    rate = rows / known.cpu_seconds
    print(
        f"  {name:<28} {known.cpu_seconds:8.1f} CPU-s  {rate:10,.0f} rows/CPU-s  "
        f"largest process {known.peak_mb:,.0f} MB",
        flush=True,
    )


def _data_juicer(base: Path, python: str, rows: int) -> None:
    """Its two filters on the same rows; the first of two runs of 100 rows warms up."""
    files = sorted((base / "data").glob("*.jsonl"))
    lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
    for name, executor in (("local", "default"), ("on Ray", "ray")):
        costs = []
        for count in (100, 100, rows):
            (base / "dj.jsonl").write_text("".join(lines[:count]))
            config = {
                "project_name": "benchmark", "executor_type": executor, "np": 2,
                "dataset_path": str(base / "dj.jsonl"), "process": DATA_JUICER,
                "export_path": str(base / f"dj-{executor}-{count}.jsonl"),
                "work_dir": str(base / "dj"), "use_cache": False,
            }  # fmt: skip
            if executor == "ray":
                config |= {"ray_address": "local", "export_type": "jsonl"}
            (base / "dj.yaml").write_text(yaml.safe_dump(config))
            command = [str(Path(python).parent / "dj-process"), "--config", str(base / "dj.yaml")]
            costs.append(cost(command, base))
        _, small, large = costs
        _line(f"Data-Juicer {name}, whole", rows, large)
        extra = large.cpu_seconds - small.cpu_seconds
        cost_text = f"{extra:8.1f} CPU-s  {rows / extra:10,.0f} rows/CPU-s"
        print(f"  {'  less a run of 100 rows':<28} {cost_text}")


def memory() -> None:
    """The largest process at 10k, 100k and 1M rows: it must not grow with the corpus.

    A task holds the records of one shard, so shards are small here: all sizes have whole ones.
    """
    print("rows, CPU-s, and the largest memory of one process, inline and of a Ray worker")
    for rows in (10_000, 100_000, 1_000_000):
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            corpus(base / "data", rows)
            recipe(base, "data/*.jsonl", STEPS, shard_bytes="2MB")
            inline, ray = curate(base, "inline", "--inline"), curate(base, "ray")
        print(
            f"  {rows:>9,}  {inline.cpu_seconds:7.1f}  inline {inline.peak_mb:6,.0f} MB  "
            f"worker {ray.worker_peak_mb:6,.0f} MB",
            flush=True,
        )


def driver() -> None:
    """The process that drives a run on Ray: it must not grow with the corpus."""
    print("rows, and the largest memory of the driving process, for each corpus step")
    steps: Steps = [{"sample": {"share": 0.5}}, {"duplicates": {"by": "text"}}]
    for rows in (10_000, 100_000, 1_000_000):
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            corpus(base / "data", rows)
            for step in steps:
                recipe(base, "data/*.jsonl", [step], shard_bytes="2MB")
                ran = curate(base, f"out-{next(iter(step))}", "--workers", "2")
                print(f"  {rows:>9,}  {step}  {ran.command_peak_mb:6,.0f} MB", flush=True)


def fixed() -> None:
    """What is paid whatever the size: help, a plan, a run with nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        corpus(base / "data", 200_000)
        recipe(base, "data/*.jsonl", STEPS)
        curate(base, "out", "--inline")
        bare = _median([cost([sys.executable, "-c", "pass"]) for _ in range(9)])
        help_cost = _median([cost([*CURATE, "--help"]) for _ in range(9)])
        idle = _median([curate(base, "out") for _ in range(5)])
    for name, known in (
        ("python -c pass", bare),
        ("curate --help", help_cost),
        ("nothing to do", idle),
    ):
        print(f"  {name:<16} {known.cpu_seconds:6.2f} CPU-s  {known.wall_seconds:6.2f} s")


def _median(costs: list[Cost]) -> Cost:
    return sorted(costs, key=lambda c: c.wall_seconds)[len(costs) // 2]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("what", choices=("throughput", "memory", "driver", "fixed"))
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--data-juicer", help="the Python of an environment with py-data-juicer")
    given = options.parse_args()
    if given.what == "throughput":
        throughput(given.rows, given.data_juicer)
    else:
        {"memory": memory, "driver": driver, "fixed": fixed}[given.what]()


if __name__ == "__main__":
    main()
