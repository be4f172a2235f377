"""The executor that works on Ray, and shards as a Ray Data dataset. No other file imports Ray."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from curate.emit.read import shard_files
from manifests.errors import CurateError, WorkerError
from manifests.step import Opened, Resources

T = TypeVar("T")
R = TypeVar("R")

RETRIES = 5
"""How often a task is repeated after its worker or node died (ours)."""
TASKS_PER_WORKER = 3
"""Tasks in flight for each worker: enough that none is idle, few enough to bound memory (ours)."""
CLOSE_SECONDS = 30
"""How long actors may take to close their models (ours)."""
OBJECT_STORE_BYTES = 128 << 20
"""Shared memory of a local Ray: little, as tasks exchange file names and no data (ours)."""


class RayExecutor:
    """Runs items as Ray tasks: a local Ray by default, a cluster by address or RAY_ADDRESS.

    Ray is started with the first item, so that a run with nothing to do does not wait for it.
    """

    name = "ray"

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        self._asked, self._address = workers, address or os.environ.get("RAY_ADDRESS")
        self._started = False
        self._remote: Any = None
        self.workers = workers or 1

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        waiting = iter(items)
        first = next(waiting, None)
        if first is None:
            return
        self._start()
        yield from self._run(work, itertools.chain([first], waiting))

    def map_opened(
        self, work: Opened[T, R], items: Iterable[T], resources: Resources
    ) -> Iterator[tuple[T, R]]:
        """On a pool of actors: each opens the work once, and again if its process died."""
        waiting = iter(items)
        first = next(waiting, None)
        if first is None:
            return
        self._start()
        pool = _Actors(work, resources, self._actors_that_fit(resources))
        try:
            yield from self._collect(pool.submit, itertools.chain([first], waiting), pool.size)
        finally:
            pool.close()

    def _actors_that_fit(self, resources: Resources) -> int:
        """As many actors as the cluster has room for, up to the number of workers asked for."""
        import ray

        has = ray.cluster_resources()
        room = [
            has.get(name, 0) // need
            for name, need in (("CPU", resources.cpus), ("GPU", resources.gpus))
            if need
        ]
        if resources.gpus and not has.get("GPU", 0):
            raise WorkerError(
                f"a step asks for {resources.gpus:g} GPU, and this cluster has none",
                "resources",
                "Run it where there is a GPU, or set the step to use the CPU.",
            )
        return max(1, min(self.workers, *(int(n) for n in room)))

    def _run(self, work: Callable[[T], R], items: Iterator[T]) -> Iterator[tuple[T, R]]:
        import ray

        shared = ray.put(work)
        return self._collect(lambda item: self._remote.remote(shared, item), items, self.workers)

    def _collect(
        self, submit: Callable[[T], Any], items: Iterator[T], workers: int
    ) -> Iterator[tuple[T, R]]:
        """Keep a bounded number of tasks in flight; yields their results as they complete."""
        import ray

        flying: dict[Any, T] = {}
        try:
            while True:
                for item in itertools.islice(items, TASKS_PER_WORKER * workers - len(flying)):
                    flying[submit(item)] = item
                if not flying:
                    return
                done, _ = ray.wait(list(flying), num_returns=1)
                for reference in done:
                    item = flying.pop(reference)
                    yield item, self._result(reference, item)
        finally:
            for reference in flying:
                ray.cancel(reference, force=False)

    def _result(self, reference: Any, item: object) -> Any:
        import ray

        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, CurateError) else error from None
        except ray.exceptions.RayError as error:
            is_node = isinstance(error, ray.exceptions.LocalRayletDiedError)
            died = "The node died" if is_node else f"Its worker died {RETRIES + 1} times"
            raise WorkerError(
                f"{type(error).__name__}: {error}",
                str(item)[:300],
                f"{died}. Finished parts are kept: the same command "
                "continues from there. To see the cause, run it in this process: --inline.",
            ) from error

    def _start(self) -> None:
        import ray

        if self._started:
            return
        logging.getLogger("ray").setLevel(logging.ERROR)
        os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        if not ray.is_initialized():
            _initialise(self._asked, self._address)
            self._started = True
        self.workers = self._asked or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_task)

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._started:
            import ray

            ray.shutdown()
            self._started = False


def _task(work: Callable[[T], R], item: T) -> R:
    return work(item)


class _Actors:
    """A pool of actors that hold the opened work, asked in turn."""

    def __init__(self, work: Opened[Any, Any], resources: Resources, size: int) -> None:
        import ray

        kind = ray.remote(
            num_cpus=resources.cpus,
            num_gpus=resources.gpus,
            memory=resources.memory_bytes or None,
            max_restarts=RETRIES,
            max_task_retries=RETRIES,
        )(_Holder)
        self._members = [kind.remote(work) for _ in range(size)]
        self._turns = itertools.cycle(self._members)
        self.size = size

    def submit(self, item: object) -> Any:
        return next(self._turns).call.remote(item)

    def close(self) -> None:
        """Let every actor close what it opened, then end its process."""
        import ray

        closing = [member.close.remote() for member in self._members]
        ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for member in self._members:
            ray.kill(member)


class _Holder:
    """The state of an actor: the opened work."""

    def __init__(self, work: Opened[Any, Any]) -> None:
        self._stack = contextlib.ExitStack()
        self._call = self._stack.enter_context(work.open())

    def call(self, item: Any) -> Any:
        return self._call(item)

    def close(self) -> None:
        self._stack.close()


def _initialise(workers: int | None, address: str | None) -> None:
    import ray

    if address and address != "local":
        ray.init(address=address, logging_level=logging.ERROR)
        return
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
    )


def read_shards(folder: str) -> Any:
    """The Arrow shards of a run as a Ray Data dataset: a block for each record batch.

    It reads only the files that the manifest of the shards names. Ray's workers must be able to
    open the folder by the same path.
    """
    import pyarrow as pa
    import ray
    from ray.data.datasource import FileBasedDatasource

    class Shards(FileBasedDatasource):  # type: ignore[misc]
        """IPC streams, one block for each record batch."""

        def _read_stream(self, f: Any, path: str) -> Iterator[Any]:
            with pa.ipc.open_stream(f) as stream:
                for batch in stream:
                    yield pa.Table.from_batches([batch])

    return ray.data.read_datasource(Shards(shard_files(folder), file_extensions=["arrow"]))
