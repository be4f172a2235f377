"""Sets up the steps of a pass in a worker: loads their models, and closes them at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from curate.engine.media_options import MediaOptions
from curate.engine.planned import PlannedStep
from curate.engine.step_errors import naming
from manifests.errors import StepError
from manifests.media import Media
from manifests.run.payer import NOBODY, Payer
from manifests.step import Blobs, Context, Part, RequestStep, Resources, Worker

if TYPE_CHECKING:
    from recaption.client import Client


class OpenedSteps(NamedTuple):
    """The models that this process has loaded, and the clients that send the requests of request
    steps, both by the name of the step. `seed` is the seed of the recipe."""

    models: dict[str, Any]
    clients: dict[str, Client]
    seed: int

    def context(
        self, planned: PlannedStep, media: Media, blobs: Blobs, part: Part | None = None
    ) -> Context:
        """Returns the context that is passed to the methods of one step. `blobs` stores bytes for
        the step, and `part` is the file of records that is processed."""
        own = blobs if planned.step.stores_bytes else partial(_refuse, planned)
        name = planned.name
        seed, model = planned.seed(self.seed), self.models.get(name)
        return Context(media, own, seed, model, part, self.clients.get(name))


def _refuse(planned: PlannedStep, data: bytes | memoryview) -> NoReturn:
    raise StepError(
        "the step stores bytes, but its class does not declare this",
        f"step {planned.name}",
        "Set stores_bytes: ClassVar[bool] = True in the class of the step.",
    )


@contextlib.contextmanager
def opened(
    steps: list[PlannedStep], options: MediaOptions, seed: int, payer: Payer = NOBODY
) -> Iterator[OpenedSteps]:
    """Load the models of the steps, and close them at the end of the `with` block if they have a
    method `close`. `payer` is the run that pays for the requests of a request step."""
    models: dict[str, Any] = {}
    clients: dict[str, Client] = {}
    with contextlib.ExitStack() as stack:
        for planned in steps:
            gpus = planned.step.resources().gpus
            with naming(planned, "load"):
                model = planned.step.load(Worker(options.base, gpus, options.limits))
            if hasattr(model, "close"):
                stack.callback(_close, planned, model)
            models[planned.name] = model
            if isinstance(planned.step, RequestStep):
                client = clients[planned.name] = _client(planned, planned.step, options.base, payer)
                stack.callback(client.close)
        yield OpenedSteps(models, clients, seed)


def _client(planned: PlannedStep, step: RequestStep, base: str, payer: Payer) -> Client:
    from recaption.client import Client

    return Client(step, f"step {planned.name}", base, payer)


def _close(planned: PlannedStep, model: Any) -> None:
    with naming(planned, "close"):
        model.close()


def joint_resources(steps: list[PlannedStep]) -> Resources:
    """The resources that one worker needs to run all of these steps, one after another."""
    needs = [planned.step.resources() for planned in steps] or [Resources()]
    limits = [need.workers for need in needs if need.workers is not None]
    return Resources(
        max(need.cpus for need in needs),
        max(need.gpus for need in needs),
        max(need.memory_bytes for need in needs),
        min(limits, default=None),
    )
