"""Computes how many workers the nodes of a cluster have room for."""

from __future__ import annotations

import sys

from manifests.errors import WorkerError
from manifests.step import Resources


def actors_that_fit(nodes: list[dict[str, float]], resources: Resources) -> int:
    """Returns how many actors the nodes have room for; each actor must fit on one node.

    `nodes` are Ray's resources of each node: `actors_that_fit([{"CPU": 4, "GPU": 1}],
    Resources(cpus=2))` -> 2. The number is `sys.maxsize` if an actor needs no resources.

    Raises WorkerError if there is no room for a single actor.
    """
    needs = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": resources.memory_bytes}
    needed = {name: need for name, need in needs.items() if need}
    if not needed:
        return sys.maxsize
    room = (min(_times(node.get(name, 0), need) for name, need in needed.items()) for node in nodes)
    fit = sum(room)
    if not fit:
        have = dict.fromkeys(_listed({name: node.get(name, 0) for name in needs}) for node in nodes)
        raise WorkerError(
            f"each worker of this step needs {_listed(needed)}, and no node of the cluster has "
            f"so much; the nodes have: {'; '.join(have)}",
            "resources",
            "Use a cluster with a larger node, or lower the step's own setting for these "
            "resources, such as `gpus`, if it has one. A Ray that curate starts on this machine "
            "has as many CPUs as --workers; --inline does not check resources.",
        )
    return fit


def _times(has: float, need: float) -> int:
    """Returns how many times `need` fits into `has`. Rounding errors are tolerated: _times(1, 0.1)
    -> 10."""
    return int(has / need + 1e-9)


def _listed(resources: dict[str, float]) -> str:
    """Format resources as text: `2 CPU, 0 GPU, 1.5 GiB of memory`."""
    return ", ".join(
        f"{amount / 2**30:,.2f} GiB of memory" if name == "memory" else f"{amount:g} {name}"
        for name, amount in resources.items()
    )
