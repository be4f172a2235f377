"""The indexes that earlier runs have kept, and whether their vectors are of the same model."""

from __future__ import annotations

from typing import Any

from clustering.neighbours.vectors import IDS, INDEX, KeptIndex
from manifests import storage
from manifests.errors import RecipeError
from manifests.run import manifest
from manifests.run.kept_index import kept_files
from manifests.step import Location, Step
from manifests.storage.digest import file_digest


def kept_indexes(
    runs: tuple[str, ...], kind: str, version: int, settings: dict[str, Any]
) -> tuple[KeptIndex, ...]:
    """Returns the indexes in the folders of earlier runs. `kind`, `version` and `settings` are
    those of the step that kept them. Every file is read once, to check it."""
    found: list[KeptIndex] = []
    for run in runs:
        own = (kept_files(run, kind, version, settings, ending) for ending in (IDS, INDEX))
        found += [KeptIndex(ids.uri, index.uri) for ids, index in zip(*own, strict=True)]
    return tuple(found)


def check_embedder(run: str, column: str, maker: Step, base: str) -> None:
    """Raises RecipeError if another step, or the same step with another model, made the column of
    vectors in an earlier run. `maker` is the step that makes the column in this run; relative paths
    in its settings start from the folder `base`."""
    now = {
        "version": maker.version,
        "parameters": maker.model_dump(mode="json", exclude={*type(maker).marked(Location)}),
        "files": [file_digest(uri) for uri in maker.files(base)],
        "models": [list(model) for model in maker.models(base)],
    }
    for entry in manifest.load_run(run).passes:
        for step in manifest.load_pass(storage.join(run, entry.folder)).steps:
            if step["name"] != column.partition(".")[0]:
                continue
            if differing := [name for name in now if step[name] != now[name]]:
                raise RecipeError(
                    f"the {differing[0]} of the step '{step['name']}', which makes the vectors, "
                    f"changed: {step[differing[0]]} in the earlier run, "
                    f"{now[differing[0]]} in this run",
                    run,
                    "Embed with the same model, or embed the pool in this run, without `against`.",
                )
            return
    raise RecipeError(f"no step of the earlier run made the column '{column}'.", run)
