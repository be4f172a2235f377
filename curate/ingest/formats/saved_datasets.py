"""Finds the data files in folders that Hugging Face's `datasets` wrote, and leaves out the cache
files in the same folders."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import orjson

from manifests import storage
from manifests.errors import InputError
from manifests.storage import File

STATE = "state.json"
CACHE = "cache-"
_INDICES = ("_indices_files", "_indices_data_files")


def data_files(files: list[File]) -> list[File]:
    """Removes the Arrow files that `datasets` itself does not read as data, such as caches, from
    the files of a source. The order stays the same.

    In a folder of `save_to_disk`, `state.json` lists the data files. In any other folder, a file
    `cache-*.arrow` beside other Arrow files is a copy of data that `datasets` keeps; without this
    rule, the rows of this copy would become records a second time.

    Raises InputError if `state.json` lists a file that does not exist, or if it names a file of
    indices, which selects or reorders the rows.
    """
    arrow: dict[str, list[File]] = defaultdict(list)
    for file in files:
        if file.name.lower().endswith(".arrow"):
            arrow[storage.folder_of(file.uri)].append(file)
    if not arrow:
        return files
    dropped = {one.uri for folder, some in arrow.items() for one in _no_data(folder, some)}
    return [file for file in files if file.uri not in dropped]


def _no_data(folder: str, files: list[File]) -> list[File]:
    named = _data_names(storage.join(folder, STATE))
    if named is not None:
        return [file for file in files if storage.base_name(file.uri) not in named]
    caches = [file for file in files if storage.base_name(file.uri).startswith(CACHE)]
    return caches if len(caches) < len(files) else []


def _data_names(place: str) -> set[str] | None:
    """Returns the names of the data files that the `state.json` at `place` lists; None if there is
    no such file, or if another program than `datasets` wrote it. Raises InputError as `data_files`
    does."""
    if not storage.exists(place):
        return None
    state = _state(storage.read_bytes(place))
    if state is None:
        return None
    if any(state.get(name) for name in _INDICES):
        raise InputError(
            "this saved data set has an indices file, which selects or reorders its rows; the "
            "reader does not support it.",
            place,
            "Save the data set again: dataset.flatten_indices().save_to_disk(...).",
        )
    names = [one["filename"] for one in state["_data_files"]]
    for name in names:
        if not storage.exists(storage.join(storage.folder_of(place), name)):
            fix = f"Copy {name} to this folder, or remove {name} from `_data_files`."
            raise InputError(
                f"the data file {name}, which `_data_files` lists, does not exist.", place, fix
            )
    return set(names)


def _state(data: bytes) -> dict[str, Any] | None:
    """Parses the bytes of a `state.json`; None if another program than `datasets` wrote it."""
    try:
        state: Any = orjson.loads(data)
        names = [one["filename"] for one in state["_data_files"]]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    return state if all(isinstance(name, str) for name in names) else None
