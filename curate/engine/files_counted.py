"""Counts the files of a source: either by listing the files now, or from the commits (lists of
files and counts) that were written when the source was read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from curate.ingest.source_files import SourceFiles
from manifests.run.counted import FILES, Counted, total_counted
from manifests.run.manifest import Commit


def listed(source: str, found: SourceFiles) -> Counted:
    """Return the numbers of files that a source has now: files to read, files that cannot be read,
    and files that are skipped without an error, by suffix such as `.md`. `found` has the files that
    were found at the path of the source."""
    return Counted(
        source=source,
        unit=FILES,
        found=len(found.readable) + len(found.faulty) + sum(found.left_aside.values()),
        used=len(found.readable),
        failed=len(found.faulty),
        left_aside=dict(found.left_aside),
    )


def with_files(
    source: str, commits: Iterable[Commit], left_aside: Mapping[str, int]
) -> list[Counted]:
    """Return the counts of a source: of its files, then of the units (lines, rows, ...) in them.

    `left_aside` has, for each suffix, the number of files that are skipped without an error:
    `{".md": 1}`. A file counts as failed if some of its units failed and none of its units became a
    record.
    """
    aside = sum(left_aside.values())
    files = [Counted(source=source, unit=FILES, found=aside, left_aside=dict(left_aside))]
    by_file: dict[str, list[Counted]] = defaultdict(list)
    units: list[Counted] = []
    for commit in commits:
        units += commit.counted
        by_file[commit.origin] += [entry for entry in commit.counted if entry.unit != FILES]
    files += [_file(source, entries) for entries in by_file.values() if entries]
    return total_counted([*files, *units])


def _file(source: str, entries: list[Counted]) -> Counted:
    failed = any(e.failed for e in entries) and not any(e.records for e in entries)
    return Counted(source=source, unit=FILES, found=1, used=int(not failed), failed=int(failed))
