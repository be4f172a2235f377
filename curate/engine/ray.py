"""The executor that runs tasks on Ray, and shards as a Ray Data dataset. No other file imports
Ray."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from curate.emit.read import shard_files
from curate.engine import on_worker
from curate.engine.capacity import actors_that_fit
from curate.engine.cluster_address import check_cluster, refusal
from curate.engine.worker_imports import NamedFolders
from curate.interrupts import same_sigterm
from manifests.errors import CurateError, WorkerError
from manifests.step import Opened, Resources

T = TypeVar("T")
R = TypeVar("R")

RETRIES = 5
"""How often a task or an item is retried after its worker or node died (our choice)."""
TASKS_PER_WORKER = 3
"""The number of tasks in flight per worker: enough that no worker is idle, few enough to bound
memory (our choice)."""
START_SECONDS = 10
"""The maximum seconds to wait for all actors to start before the first items are assigned, so that
each actor gets one of them (our choice)."""
CHECK_SECONDS = 300
"""The seconds between checks of the cluster's nodes while no actor has an item (our choice)."""
OBJECT_STORE_BYTES = 128 << 20
"""The shared memory of a local Ray. It is small because tasks exchange file names, not data (our
choice)."""


class RayExecutor:
    """Runs items as Ray tasks, or on a pool of Ray actors if their work must be opened first. Uses
    the Ray to which this process is connected, if there is one; else a cluster given by address or
    RAY_ADDRESS; else a local Ray.

    Ray is started with the first item, so that a run without work does not wait for it.
    """

    name = "ray"

    def __init__(
        self, workers: int | None = None, address: str | None = None, quiet: bool = False
    ) -> None:
        self._asked, self._address = workers, address or os.environ.get("RAY_ADDRESS")
        self._started, self._quiet = False, quiet
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
        """Process the items on a pool of actors. Each actor opens `work` (for example, loads a
        model) when it receives its first item.

        After an error, or if the caller stops early, running calls are killed immediately.
        """
        waiting = iter(items)
        first = next(waiting, None)
        if first is None:
            return
        self._start()
        size = min(self.workers, actors_that_fit(_nodes(), resources))
        size = min(size, resources.workers or size)
        known = [first, *itertools.islice(waiting, size - 1)]
        pool = _Actors(work, resources, len(known))
        try:
            yield from pool.run(itertools.chain(known, waiting))
            pool.close()
        finally:
            pool.kill()

    def _run(self, work: Callable[[T], R], items: Iterator[T]) -> Iterator[tuple[T, R]]:
        """Process the items with Ray tasks, of which a limited number run at once; yield each item
        with its result when its task completes."""
        import ray

        shared = ray.put(work)
        flying: dict[Any, T] = {}
        try:
            while True:
                for item in itertools.islice(items, TASKS_PER_WORKER * self.workers - len(flying)):
                    flying[self._remote.remote(shared, item)] = item
                if not flying:
                    return
                done, _ = ray.wait(list(flying), num_returns=1)
                for reference in done:
                    item = flying.pop(reference)
                    result = _result(reference, item)
                    if isinstance(result, on_worker.Again):
                        flying[self._remote.remote(shared, item)] = item
                    else:
                        yield item, result
        finally:
            for reference in flying:
                ray.cancel(reference, force=False)

    def _start(self) -> None:
        if self._started:
            return
        check_cluster(self._address)
        logging.getLogger("ray").setLevel(logging.ERROR)
        os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        import ray

        if not ray.is_initialized():
            with same_sigterm():  # Ray's own handler ends the process at once
                _initialise(self._asked, self._address, self._quiet)
            self._started = True
        self.workers = self._asked or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._remote = ray.remote(num_cpus=1, max_retries=RETRIES)(on_worker.run_item)

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


def _result(reference: Any, item: object) -> Any:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise _raised(error) from None
    except ray.exceptions.RayError as error:
        raise _died(error, item) from error


def _raised(error: Any) -> Exception:
    """Return the exception that was raised in a worker. A CurateError is returned as it is, any
    other exception with Ray's traceback."""
    cause: Exception = error.cause
    return cause if isinstance(cause, CurateError) else error


def _died(error: Any, item: object) -> WorkerError:
    import ray

    is_node = isinstance(error, ray.exceptions.LocalRayletDiedError)
    died = (
        "The machine of its worker died"
        if is_node
        else f"Its worker process died {RETRIES + 1} times"
    )
    return WorkerError(
        f"{type(error).__name__}: {error}",
        str(item)[:300],
        f"{died}. Finished parts are kept: run the same command again to continue. To see the "
        "cause, add --inline, which runs the work in this process.",
    )


class _Call(NamedTuple):
    """An item that an actor is processing. `deaths` is the number of actors that died during their
    work on this item."""

    actor: Any
    item: Any
    deaths: int


class _Actors:
    """A pool of actors. An actor processes at most one item at a time, so if the actor dies, it is
    known which item it was processing.

    An actor that has not started yet gets no item: it may never start, because other work may
    occupy the cluster.
    """

    def __init__(self, work: Opened[Any, Any], resources: Resources, size: int) -> None:
        import ray

        self._resources = resources
        self._kind = ray.remote(
            num_cpus=resources.cpus,
            num_gpus=resources.gpus,
            memory=resources.memory_bytes or None,
            max_restarts=0,
            max_task_retries=0,
        )(on_worker.Holder)
        self._work = ray.put(work)
        self._members: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._free: list[Any] = []
        self._calls: dict[Any, _Call] = {}
        self._again: list[tuple[Any, int]] = []
        self._failed_starts = 0
        for _ in range(size):
            self._start()

    def run(self, items: Iterator[T]) -> Iterator[tuple[T, Any]]:
        """Yield the items with their results. Actors process further items at the same time as the
        caller uses a result."""
        import ray

        ray.wait(list(self._starting), num_returns=len(self._starting), timeout=START_SECONDS)
        waiting = ((item, 0) for item in items)
        results: list[tuple[T, Any]] = []
        while True:
            self._give(waiting)
            yield from results
            if self._free and not self._calls:  # an actor is free because no item is left
                return
            results = self._finish(self._wait())

    def close(self) -> None:
        """Let every actor close what it opened. If an actor raises an error when it closes, this
        function raises the error."""
        import ray

        closing = [actor.close.remote() for actor in self._free]
        ray.wait(closing, num_returns=len(closing))
        for reference in closing:
            try:
                ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise _raised(error) from None
            except ray.exceptions.RayError:
                continue  # it died after its last item: no result is lost, nothing is open

    def kill(self) -> None:
        import ray

        for actor in self._members:
            ray.kill(actor)

    def _start(self) -> None:
        actor = self._kind.remote()
        self._members.append(actor)
        self._starting[actor.__ray_ready__.remote()] = actor

    def _give(self, waiting: Iterator[tuple[Any, int]]) -> None:
        """Assign an item to every free actor. Items whose actor died are assigned first. `waiting`
        yields the other items, as pairs (item, 0): 0 is the number of actors that died during their
        work on the item."""
        while self._free:
            known = self._again.pop() if self._again else next(waiting, None)
            if known is None:
                return
            actor = self._free.pop()  # the last one used, because it has opened the work already
            self._calls[actor.call.remote(self._work, known[0])] = _Call(actor, *known)

    def _wait(self) -> Any:
        """Wait until a call or the start of an actor completes, and return its reference.

        Raises WorkerError if no actor is processing an item, and no live node of the cluster has
        room for an actor.
        """
        import ray

        while True:
            flying = [*self._starting, *self._calls]
            done, _ = ray.wait(flying, num_returns=1, timeout=CHECK_SECONDS)
            if done:
                return done[0]
            if not self._calls:
                actors_that_fit(_nodes(), self._resources)

    def _finish(self, reference: Any) -> list[tuple[Any, Any]]:
        """Return the item and the result of a completed call, as a list with one pair. The list is
        empty if the actor died, if the item is to be processed again, or if `reference` is not a
        call but the start of an actor."""
        import ray

        if reference in self._starting:
            self._started(reference)
            return []
        call = self._calls.pop(reference)
        try:
            result = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise _raised(error) from None
        except ray.exceptions.RayError as error:
            self._repeat(call, error)
            return []
        self._free.append(call.actor)
        if isinstance(result, on_worker.Again):
            self._again.append((call.item, 0))
            return []
        return [(call.item, result)]

    def _started(self, reference: Any) -> None:
        import ray

        actor = self._starting.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts > RETRIES:
                raise _died(error, "start of a worker") from error
            self._replace(actor)
            return
        self._failed_starts = 0
        self._free.append(actor)

    def _repeat(self, call: _Call, error: Any) -> None:
        """Queue the item of an actor that died, so that another actor processes the item. `error`
        is the error of the call.

        Raises WorkerError if too many actors died during their work on this item, or if Ray itself
        died on this machine. Actors that died because their node was preempted are not counted.
        """
        import ray

        deaths = call.deaths + (not getattr(error, "preempted", False))
        if deaths > RETRIES or isinstance(error, ray.exceptions.LocalRayletDiedError):
            raise _died(error, call.item) from error
        self._again.append((call.item, deaths))
        self._replace(call.actor)

    def _replace(self, actor: Any) -> None:
        import ray

        ray.kill(actor)  # it may still be alive, but unreachable
        self._members.remove(actor)
        self._start()


def _nodes() -> list[dict[str, float]]:
    """The resources of each live node of the cluster."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _initialise(workers: int | None, address: str | None, quiet: bool) -> None:
    import ray

    job = ray.job_config.JobConfig()
    job._py_driver_sys_path = NamedFolders()
    shared = {"job_config": job, "logging_level": logging.ERROR, "log_to_driver": not quiet}

    if address and address != "local":
        try:
            ray.init(address=address, **shared)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise refusal(address, error) from error
        return
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **shared,
    )


def read_shards(folder: str) -> Any:
    """Return the Arrow shards of a run as a Ray Data dataset, with one block for each record batch.

    Only the files listed in the manifest of the shards are read. Ray's workers must be able to open
    the folder by the same path.
    """
    import pyarrow as pa
    import ray
    from ray.data.datasource import FileBasedDatasource

    class Shards(FileBasedDatasource):  # type: ignore[misc]
        """Reads Arrow IPC streams, with one block for each record batch."""

        def _read_stream(self, f: Any, path: str) -> Iterator[Any]:
            with pa.ipc.open_stream(f) as stream:
                for batch in stream:
                    yield pa.Table.from_batches([batch])

    return ray.data.read_datasource(Shards(shard_files(folder), file_extensions=["arrow"]))
