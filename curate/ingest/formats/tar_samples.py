"""Groups the members of a WebDataset tar into samples: neighbouring members that share a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from curate.ingest.formats import tar
from manifests.errors import RowError


class Sample(NamedTuple):
    """The members with one key, as suffix -> (offset, size) in the tar. `fault` is the error if the
    sample cannot be read.

    `start` is the byte position of the first header.
    """

    key: str
    start: int
    members: dict[str, tuple[int, int]]
    fault: RowError | None = None


def samples(source: tar.Source, start: int = 0, stop: int = -1) -> Iterator[Sample]:
    """Yields the samples whose first header is at `start` or later, and before `stop` (-1: the
    end).

    A fault that belongs to no sample becomes a sample without members.

    If the tar ends too early, the last sample has the fault, because some of its members may be
    missing.
    """
    current = None
    for found in tar.members(source, start, stop):
        if found.name is None and current is not None:
            current = _with_fault(current, found)
            continue
        key, suffix = _key(found.name or "")
        if not key:
            if error := _stray_error(found):
                yield Sample(found.name or f"@{found.start}", found.start, {}, error)
            continue
        if current is None or key != current.key:
            if current is not None:
                yield current
            current = Sample(key, found.start, {})
        if isinstance(found, tar.Fault) or suffix in current.members:
            current = _with_fault(current, found)
        else:
            current.members[suffix] = found.offset, found.size
    if current is not None:
        yield current


def _key(name: str) -> tuple[str, str]:
    """Splits the name of a member into key and suffix: `a/b.0.jpg` -> (`a/b`, `0.jpg`). Both are
    empty for a hidden file, a name without a dot, or a path outside the tar."""
    base = name.rfind("/") + 1
    dot = name.find(".", base)
    if dot <= base or _leaves_archive(name):
        return "", ""
    return name[:dot], name[dot + 1 :].lower()


def _leaves_archive(name: str) -> bool:
    """Whether a path is absolute, on POSIX or Windows, or contains `..` as a folder."""
    if not (".." in name or ":" in name or name.startswith(("/", "\\"))):
        return False
    path = name.replace("\\", "/")
    return path.startswith("/") or path[1:3] == ":/" or ".." in path.split("/")


def _stray_error(found: tar.Member | tar.Fault) -> RowError | None:
    if isinstance(found, tar.Fault):
        return found.error
    if _leaves_archive(found.name):
        fault = f"the name {found.name!r} is absolute, or is outside the archive."
        return RowError(fault, "", "Pack the tar with relative names.")
    return None


def _with_fault(sample: Sample, found: tar.Member | tar.Fault) -> Sample:
    """Adds a fault to a sample. A fault that the sample already has is not replaced."""
    error = found.error if isinstance(found, tar.Fault) else _repeated(found.name)
    return sample._replace(fault=sample.fault or error)


def _repeated(name: str) -> RowError:
    fix = "Give every member of a sample its own name."
    return RowError(f"the sample has a second member {name!r}.", "", fix)
