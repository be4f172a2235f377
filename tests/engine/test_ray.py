"""On Ray, any number of workers makes the same bytes as one process."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from curate.emit.read import read_shards as plain_shards
from curate.engine import ray as on_ray
from curate.engine.capacity import actors_that_fit
from curate.engine.inline import Inline
from curate.engine.ray import RayExecutor, read_shards
from manifests.errors import CurateError, InputError, StepError, WorkerError
from manifests.step import Executor, Resources
from tests.engine.contract_steps import log_lines, note
from tests.make import write_captions
from tests.runs import caption_recipe, file_bytes, row_counts, run_engine

STEPS = [
    {"words": {"min": 5}},
    {"tests.engine.pieces:Longest": {}},
    {"sample": {"share": 0.5, "weight": "words.count", "by": "source"}},
    {"characters": {"min": 3}},
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("ray")
    write_captions(base / "data", files=9, rows=30)
    run_engine(_what(), base, base / "inline", Inline())
    return base


def _what() -> dict[str, object]:
    return caption_recipe(steps=STEPS, shards={"formats": ["arrow", "jsonl", "webdataset"]})


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_makes_the_same_bytes(ray: None, corpus: Path, workers: int) -> None:
    out = corpus / f"workers-{workers}"
    made = run_engine(_what(), corpus, out, RayExecutor(workers))
    assert file_bytes(out) == file_bytes(corpus / "inline")
    assert made.digest == run_engine(_what(), corpus, corpus / "inline").digest


def test_ray_data_reads_the_shards_as_they_are(ray: None, corpus: Path) -> None:
    shards = corpus / "inline" / "shards"
    (shards / "cache-0123.arrow").write_bytes(b"a stray file that datasets left here")
    rows = read_shards(str(shards)).take_all()
    (shards / "cache-0123.arrow").unlink()
    expected = pa.concat_tables(plain_shards(str(shards))).to_pylist()
    assert sorted(r["id"] for r in rows) == sorted(r["id"] for r in expected)
    assert {r["id"]: r["images"][0]["bytes"] for r in rows} == {
        r["id"]: r["images"][0]["bytes"] for r in expected
    }


def test_a_worker_that_dies_once_loses_no_record(ray: None, corpus: Path) -> None:
    marker = corpus / "crash-now"
    marker.write_text("")
    what = caption_recipe(
        steps=[{"words": {}}, {"tests.engine.pieces:Crash": {"marker": str(marker)}}]
    )
    made = run_engine(what, corpus, corpus / "crashed", RayExecutor(2))
    assert not marker.exists()
    assert row_counts(made)["Crash"] == (270, 270, {}, {})


def test_an_error_of_a_step_reaches_the_driver_unchanged(ray: None, corpus: Path) -> None:
    what = caption_recipe(steps=[{"tests.engine.pieces:Misaligned": {}}])
    with pytest.raises(StepError, match="the step returned 29 values of 'count' for 30 rows"):
        run_engine(what, corpus, corpus / "misaligned", RayExecutor(2))


def test_a_worker_that_always_dies_fails_the_run_and_names_the_part(
    ray: None, corpus: Path
) -> None:
    what = caption_recipe(steps=[{"tests.engine.pieces:Dies": {}}])
    with pytest.raises(WorkerError, match="died 6 times"):
        run_engine(what, corpus, corpus / "dies", RayExecutor(1))


@dataclass(frozen=True)
class Echo:
    """Answers an item with the process that had it; writes down what is opened and closed."""

    folder: str

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[str], int]]:
        note(self.folder, f"open {os.getpid()}")
        yield self.call
        note(self.folder, f"close {os.getpid()}")

    def call(self, item: str) -> int:
        return os.getpid()

    def path(self, name: str) -> Path:
        return Path(self.folder, name)


class DiesOnceOnEach(Echo):
    """Ends the process of each item the first time."""

    def call(self, item: str) -> int:
        if not self.path(item).exists():
            self.path(item).touch()
            os._exit(1)
        return os.getpid()


class DiesOnOne(Echo):
    """Ends the process of the item `bad` every time."""

    def call(self, item: str) -> int:
        if item == "bad":
            os._exit(1)
        return os.getpid()


class FailsToOpen(Echo):
    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[str], int]]:
        note(self.folder, "open")
        raise InputError("no such model", "model.onnx", "Check the path.")
        yield self.call


class FailsToClose(Echo):
    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[str], int]]:
        yield self.call
        raise StepError("OSError: disk full", "step mine, close")


class FirstWaitsForAll(Echo):
    """The item `0` is complete when all others are."""

    def call(self, item: str) -> int:
        self.path(item).touch()
        if item == "0":
            wait_until(lambda: all(self.path(str(n)).exists() for n in range(12)))
        return os.getpid()


class LongAndFailing(Echo):
    """The item `long` takes 20 seconds; `short` waits until `long` has begun; `fail` raises then.

    20 seconds: under the time that the pool once waited for the end of running calls.
    """

    def call(self, item: str) -> int:
        if item == "long":
            self.path("begun").write_text(str(os.getpid()))
            time.sleep(20)
            self.path("complete").touch()
        else:
            wait_until(lambda: self.path("begun").exists() and self.path("begun").read_text() != "")
            if item == "fail":
                raise StepError("29 values for 30 rows", "step mine")
        return os.getpid()


class Other:
    """An actor of other work."""


def wait_until(is_so: Callable[[], bool]) -> None:
    """Poll; gives up after two minutes, so that a broken pool fails a test and does not hang."""
    for _ in range(1200):
        if is_so():
            return
        time.sleep(0.1)
    raise TimeoutError


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


ONE_CPU = Resources()


def results(
    work: Any, items: list[str], executor: Executor, resources: Resources = ONE_CPU
) -> dict[str, int]:
    return dict(executor.map_opened(work, items, resources))


def add_items(found: list[str], answers: Iterator[tuple[str, int]]) -> None:
    """Add the items that were answered, also those before an error."""
    for item, _ in answers:
        found.append(item)


EXECUTORS = [pytest.param(Inline(), id="inline"), pytest.param(RayExecutor(2), id="ray")]


@pytest.mark.parametrize(
    ("resources", "need"),
    [
        (Resources(cpus=64), "64 CPU"),
        (Resources(gpus=64), "1 CPU, 64 GPU"),
        (Resources(memory_bytes=1 << 50), "1 CPU, 1,048,576.00 GiB of memory"),
    ],
)
def test_a_step_that_no_node_has_room_for_is_refused_with_its_need_and_what_there_is(
    ray: None, tmp_path: Path, resources: Resources, need: str
) -> None:
    with pytest.raises(WorkerError) as raised:
        results(Echo(str(tmp_path)), ["a"], RayExecutor(2), resources)
    assert f"needs {need}, and" in str(raised.value)
    has = r"the nodes have: 4 CPU, \d+ GPU, [\d,.]+ GiB of memory"
    assert re.search(has, str(raised.value))


def test_there_are_no_more_actors_than_memory_for_them(ray: None, tmp_path: Path) -> None:
    import ray as real

    resources = Resources(memory_bytes=int(real.cluster_resources()["memory"] * 0.6))
    made = results(Echo(str(tmp_path)), list("abcdef"), RayExecutor(4), resources)
    assert list(made) == list("abcdef")
    assert len(set(made.values())) == 1


def test_a_worker_must_fit_on_one_node() -> None:
    small, large = {"CPU": 4.0, "memory": 1.0}, {"CPU": 9.0, "memory": 3.0}
    assert actors_that_fit([small, large], Resources(cpus=4)) == 3
    assert actors_that_fit([small, large], Resources(cpus=1, memory_bytes=2)) == 1
    assert actors_that_fit([{"CPU": 1.0}], Resources(cpus=0.1)) == 10
    with pytest.raises(WorkerError, match=r"nodes have: 4 CPU, 0 GPU, .*; 9 CPU, 0 GPU, "):
        actors_that_fit([small, large], Resources(cpus=10))


def test_items_do_not_wait_for_actors_whose_place_other_work_occupies(
    ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray as real

    monkeypatch.setattr(on_ray, "START_SECONDS", 0.1)
    other = real.remote(num_cpus=3)(Other).remote()
    real.get(other.__ray_ready__.remote())
    made = results(Echo(str(tmp_path)), list("abcdef"), RayExecutor(4))
    real.kill(other)
    assert sorted(made) == list("abcdef")
    assert len(set(made.values())) == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_while_opening_is_raised_as_itself_at_the_first_attempt(
    ray: None, tmp_path: Path, executor: Executor
) -> None:
    with pytest.raises(InputError) as raised:
        results(FailsToOpen(str(tmp_path)), ["a"], executor)
    assert type(raised.value) is InputError
    assert str(raised.value) == "model.onnx: no such model. Check the path."
    assert log_lines(tmp_path) == ["open"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_while_closing_is_raised_after_all_results(
    ray: None, tmp_path: Path, executor: Executor
) -> None:
    found: list[str] = []
    with pytest.raises(CurateError) as raised:
        add_items(found, executor.map_opened(FailsToClose(str(tmp_path)), ["a", "b"], ONE_CPU))
    assert sorted(found) == ["a", "b"]
    assert type(raised.value) is StepError
    assert str(raised.value) == "step mine, close: OSError: disk full"


def test_any_number_of_deaths_is_repeated_if_no_item_is_the_cause(
    ray: None, tmp_path: Path
) -> None:
    items = [str(n) for n in range(on_ray.RETRIES + 3)]
    assert sorted(results(DiesOnceOnEach(str(tmp_path)), items, RayExecutor(1))) == items


def test_an_item_that_kills_every_worker_is_named_and_no_other(ray: None, tmp_path: Path) -> None:
    work, found = DiesOnOne(str(tmp_path)), list[str]()
    with pytest.raises(WorkerError, match="died 6 times") as raised:
        add_items(found, RayExecutor(2).map_opened(work, ["a", "bad", "b", "c", "d"], ONE_CPU))
    assert raised.value.place == "bad"
    assert "bad" not in found


def test_the_next_item_goes_to_the_actor_that_is_free(ray: None, tmp_path: Path) -> None:
    items = [str(n) for n in range(12)]
    made = results(FirstWaitsForAll(str(tmp_path)), items, RayExecutor(2))
    assert sorted(made) == sorted(items)
    assert list(made.values()).count(made["0"]) == 1


@pytest.mark.parametrize("ending", ["error", "stop"])
def test_a_failed_or_stopped_pool_kills_running_calls_and_prints_no_message_of_ray(
    ray: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], ending: str
) -> None:
    items = ["long", "fail" if ending == "error" else "short"]
    answers = RayExecutor(2).map_opened(LongAndFailing(str(tmp_path)), items, ONE_CPU)
    if ending == "error":
        with pytest.raises(StepError, match="29 values for 30 rows"):
            next(answers)
    else:
        assert next(answers)[0] == "short"
        with pytest.raises(KeyboardInterrupt):
            answers.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    worker = int((tmp_path / "begun").read_text())
    wait_until(lambda: not is_alive(worker))
    assert not (tmp_path / "complete").exists()
    assert "Holder" not in capfd.readouterr().err


def test_actors_close_what_they_opened_when_all_is_answered(ray: None, tmp_path: Path) -> None:
    made = results(Echo(str(tmp_path)), list("abcdef"), RayExecutor(2))
    workers = {str(pid) for pid in made.values()}
    lines = [line.split() for line in log_lines(tmp_path)]
    assert sorted(pid for what, pid in lines if what == "open") == sorted(workers)
    assert sorted(pid for what, pid in lines if what == "close") == sorted(workers)
