"""Groups the members of a WebDataset tar into samples: neighbouring members that share a key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from curate.ingest.formats import tar
from curate.ingest.formats.random_access import Source
from manifests.errors import RowError

_NAME_IT = (
    "If this member is the caption of all images, set `caption: [{0}]`. Otherwise give each "
    "image its own key, without a dot."
)


class Sample(NamedTuple):
    """Neighbouring members of a tar that have the same key.

    `members` maps each suffix to (offset, size) in the tar. `start` is the byte position of the
    first header. `fault` is the error if the sample cannot be read, and `at` is the suffix of the
    member with the fault. `others` is the number of members with this key that are not in
    `members`, because they cannot be read or because an earlier member has the same name.
    """

    key: str
    start: int
    members: dict[str, tuple[int, int]]
    fault: RowError | None = None
    at: str = ""
    others: int = 0

    @property
    def size(self) -> int:
        """The number of members of the sample, including those that cannot be read."""
        return len(self.members) + self.others


def samples(
    source: Source,
    start: int = 0,
    stop: int = -1,
    captions: Sequence[str] = (),
    walked: tar.Walked | None = None,
) -> Iterator[Sample]:
    """Yields the samples whose first header is at `start` or later, and before `stop` (-1: the end
    of the tar). `captions` has the suffixes of the files with captions.

    A fault that belongs to no sample is yielded as a sample without members. Other members that
    belong to no sample, such as hidden files, are counted in `walked`. If the tar ends too early,
    the last sample has the fault, because some of its members may be missing.
    """
    walked = tar.Walked() if walked is None else walked
    for group in _groups(source, start, stop, walked):
        if any("." in suffix for suffix in group.members):
            yield from _by_stem(group, captions)
        else:
            yield group


def _groups(source: Source, start: int, stop: int, walked: tar.Walked) -> Iterator[Sample]:
    """Yields a sample for each group of neighbouring members whose names are equal up to the first
    dot. Members that belong to no sample are counted in `walked`."""
    current = None
    for found in tar.members(source, start, stop, walked):
        if found.name is None and current is not None:
            current = _with_fault(current, found.error, next(reversed(current.members), ""), 0)
            continue
        key, suffix = _key(found.name or "")
        if not key:
            if error := _stray_error(found):
                size = int(found.name is not None)
                yield Sample(found.name or f"@{found.start}", found.start, {}, error, "", size)
            else:
                walked.left_aside[_kind_of_stray(found.name or "")] += 1
            continue
        if current is None or key != current.key:
            if current is not None:
                yield current
            current = Sample(key, found.start, {})
        if isinstance(found, tar.Fault):
            current = _with_fault(current, found.error, suffix, 1)
        elif suffix in current.members:
            current = _with_fault(current, _repeated(found.name), suffix, 1)
        else:
            current.members[suffix] = found.offset, found.size
    if current is not None:
        yield current


def _by_stem(group: Sample, captions: Sequence[str]) -> Iterator[Sample]:
    """Yields the samples in a group of members that has suffixes with a dot, such as `0.jpg`. A
    group has the members whose names are equal up to the first dot.

    If no text or JSON file in the group has a suffix with a dot, all images of the group are one
    sample, as in the webdataset library. If such a file has one (`05.txt`), the dot may belong to
    the key. Then, if all suffixes of the group have a dot, the key of a sample is the name up to
    the last dot: `22.05.jpg` and `22.05.txt` are the sample `22.05`. If only some have a dot, the
    group is one sample; it gets an error if it is not clear whether a text file is the caption of
    one image or of all images.
    """
    exact = {"json", *captions}
    endings = {suffix.rpartition(".")[2] for suffix in exact}
    dotted = [s for s in group.members if "." in s]
    sidecars = [s for s in dotted if s not in exact and s.rpartition(".")[2] in endings]
    if not sidecars:
        yield group
    elif len(dotted) == len(group.members) and not exact & set(dotted):
        yield from _split(group)
    else:
        stems = {s.rpartition(".")[0] for s in dotted if s not in sidecars}
        unclear = [s for s in sidecars if s.rpartition(".")[0] in stems]
        if not unclear and exact.isdisjoint(group.members):
            unclear = sidecars
        yield _with_fault(group, _unclear(group, unclear), unclear[0], 0) if unclear else group


def _split(group: Sample) -> Iterator[Sample]:
    by_stem: dict[str, dict[str, tuple[int, int]]] = {}
    for suffix, place in group.members.items():
        stem, _, last = suffix.rpartition(".")
        by_stem.setdefault(stem, {})[last] = place
    faulty = group.at.rpartition(".")[0]
    if group.fault is not None:
        by_stem.setdefault(faulty, {})
    for stem, members in by_stem.items():
        sample = Sample(f"{group.key}.{stem}", group.start, members)
        has_fault = group.fault is not None and stem == faulty
        yield sample._replace(fault=group.fault, others=group.others) if has_fault else sample


def _unclear(group: Sample, sidecars: list[str]) -> RowError:
    names = ", ".join(f"{group.key}.{suffix}" for suffix in group.members)
    fault = f"it is not clear which image {sidecars[0]!r} describes: the members are {names:.300}."
    return RowError(fault, "", _NAME_IT.format(sidecars[0]))


def _key(name: str) -> tuple[str, str]:
    """Splits the name of a member into key and suffix: `a/b.0.jpg` -> (`a/b`, `0.jpg`). Key and
    suffix are empty for a hidden file, a name without a dot, or a path that leads out of the
    tar."""
    base = name.rfind("/") + 1
    dot = name.find(".", base)
    if dot <= base or _leaves_archive(name):
        return "", ""
    return name[:dot], name[dot + 1 :].lower()


def _kind_of_stray(name: str) -> str:
    return "hidden" if name.rpartition("/")[2].startswith(".") else "name without a dot"


def _leaves_archive(name: str) -> bool:
    """Whether the path of a member is absolute, on POSIX or Windows, or contains the folder
    `..`."""
    if not (".." in name or ":" in name or name.startswith(("/", "\\"))):
        return False
    path = name.replace("\\", "/")
    return path.startswith("/") or path[1:3] == ":/" or ".." in path.split("/")


def _stray_error(found: tar.Member | tar.Fault) -> RowError | None:
    if isinstance(found, tar.Fault):
        return found.error
    if _leaves_archive(found.name):
        fault = f"the member name {found.name!r} is an absolute path, or leads out of the archive."
        return RowError(fault, "", "Create the tar again with relative names.")
    return None


def _with_fault(sample: Sample, error: RowError, at: str, others: int) -> Sample:
    """Returns the sample with the error `error` as its field `fault`, and the suffix `at` of the
    member with the fault as its field `at`. If the sample already has a fault, both fields stay the
    same. In both cases, `others` is added to the sample's field `others`."""
    others += sample.others
    if sample.fault is not None:
        return sample._replace(others=others)
    return sample._replace(fault=error, at=at, others=others)


def _repeated(name: str) -> RowError:
    fix = "Give every member of a sample its own name."
    return RowError(f"the sample has two members with the name {name!r}.", "", fix)
