"""The pass that reads one source. It makes a part (a file of records), or several, from each split
(a range of a file, or a group of files), and quarantines bad inputs."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pyarrow as pa

from curate.engine import part_files, splits, time_limit
from curate.engine.counting import CountedRead
from curate.engine.files_counted import with_files
from curate.engine.garbage import only_new_objects
from curate.engine.media_options import MediaOptions
from curate.engine.outcomes import quarantine_rows
from curate.engine.part_files import PartFiles
from curate.engine.part_view import PartView
from curate.engine.passes.contract import Pass, RunContext, State
from curate.ingest import evidence
from curate.ingest.reader import Context, Failure, ReadBatch, Reader, Split
from manifests import record, storage
from manifests.errors import StepError
from manifests.media.blobs import BlobFile
from manifests.run.counted import Counted
from manifests.run.file_names import PART
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import Account
from manifests.run.manifest import Commit

PART_BYTES = 128 << 20
"""A part ends when its records have this size in memory, or at the end of the split (our choice).
Later passes hold a few copies of a part, so they need little memory even for a very large file."""
EVIDENCE = "evidence"
"""A key in the field `detail` of a commit. Its value is what the split shows about the format of
its source; see `curate.ingest.evidence`."""


class ReadTask(NamedTuple):
    """A task that reads one split (a range of a file, or a group of files) into the file of records
    `part`, or into several such files if the records are large. `inputs_digest` is a digest of the
    names, sizes and times of the split's files, and of the files beside them
    (`Reader.files_beside`)."""

    part: str
    inputs_digest: str
    split: Split


@dataclass(frozen=True)
class ReadPass(Pass[ReadTask]):
    """Reads one source: makes a file of records (a part), or several, from each split, which is a
    range of a file or a group of files."""

    kind: ClassVar[str] = "read"

    reader: Reader

    @property
    def title(self) -> str:
        return f"read {self.name}"

    def tasks(self, run: RunContext, state: State) -> list[ReadTask]:
        note, folder, is_checked = run.progress.note, self.folder(run), self.name in state.checked
        found = splits.of_source(self.reader, run.media, folder, run.executor, note, is_checked)
        return [read_task(self.reader, split, run.media.base) for split in found]

    def work(self, run: RunContext, tasks: Iterable[ReadTask]) -> Iterator[Commit]:
        read = ReadSplit(run.media, self.reader, self.folder(run))
        return (commit for _, made in run.executor.map(read, tasks) for commit in made)

    def counted(self, folder: str, commits: list[Commit]) -> list[Counted]:
        return with_files(self.name, commits, splits.load(folder).left_aside)

    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        folder = self.folder(run)
        found = (evidence.from_json(commit.detail.get(EVIDENCE, {})) for commit in commits)
        self.reader.check_evidence(evidence.total(found))
        made = (PartView.of_commit(c, storage.join(folder, c.part + PART)) for c in commits)
        return state._replace(parts=(*state.parts, *made))


def read_task(reader: Reader, split: Split, base: str) -> ReadTask:
    """Return the task that reads a split.

    The part that is made gets its name from the source, the names of the split's files, and the
    split's position in them, so a change of the content of the files does not change the name.
    `inputs_digest` also depends on the sizes and modification times of the files, and on the files
    beside them (`Reader.files_beside`). `base` is the folder to which uris are relative.
    """
    names = [file.name for file in split.files]
    part = fingerprint([reader.name, names, split.start, split.stop])
    files, beside = (
        [[f.name, f.size, f.stamp] for f in some]
        for some in (split.files, reader.files_beside(split.files, base))
    )
    inputs = fingerprint([*files, [*split[1:]], *beside])
    return ReadTask(f"part-{part}", inputs, split)


@dataclass(frozen=True)
class ReadSplit:
    """A function for a worker: reads one split of a source into one or more parts."""

    media: MediaOptions
    reader: Reader
    folder: str

    def __call__(self, task: ReadTask) -> list[Commit]:
        """Read a split, and return the commits of the parts that were made from it. The first part
        is committed last; its commit has the counts of the whole split, and lists the file of the
        bytes that the reader stored."""
        inputs = task.inputs_digest
        with (
            time_limit.limiting(self.folder, task.part, inputs, self.media.max_cpu_seconds),
            contextlib.closing(self.media.open()) as media,
            contextlib.ExitStack() as stack,
            only_new_objects(),
        ):
            blobs = part_files.open_blobs(stack, self.folder, task.part)
            context = Context(self.media.base, media, blobs)
            read = CountedRead(self.reader, task.split, context)
            first, *others = self._parts(task.part, iter(read), blobs)
        given = (inputs, task.split.files[0].uri, [f"read {self.reader.name}"])
        more = [files.commit(*given) for files in others]
        detail = {EVIDENCE: evidence.to_json(read.evidence)} if read.evidence else {}
        names = [files.part for files in others]
        return [first.commit(*given, [read.counted], detail, names), *more]

    def _parts(
        self, part: str, batches: Iterator[ReadBatch], blobs: BlobFile
    ) -> Iterator[PartFiles]:
        """Write the batches to one or more parts, and yield the files of each part. The parts are
        named `part`, `part-1`, `part-2`, ...: a new part begins when a part has PART_BYTES
        bytes."""
        found, name = next(batches, None), part
        for number in itertools.count(1):
            with part_files.writing(self.folder, name, record.SCHEMA, blobs) as files:
                while found is not None and files.size_bytes < PART_BYTES:
                    _add(files, found, self.reader.name)
                    found = next(batches, None)
            yield files
            if found is None:
                return
            name, blobs = f"{part}-{number}", BlobFile()  # the first part has all blobs


def _add(files: PartFiles, found: ReadBatch, source: str) -> None:
    if found.records.schema != record.SCHEMA:
        raise StepError(
            "the records that the reader returned do not have the columns and "
            "types of manifests.record.SCHEMA",
            f"reader of source {source}",
        )
    files.keep(found.records)
    rows, failures = found.records.num_rows, found.failures
    quarantined: Counter[str] = Counter()
    for failure in failures:
        quarantined[failure.error] += failure.counts_as
    account = Account(
        step=f"read {source}",
        rows_in=rows + quarantined.total(),
        kept=rows,
        quarantined=dict(quarantined),
    )
    files.account(account, _failed_rows(failures, source))


def _failed_rows(failures: list[Failure], source: str) -> pa.Table:
    return quarantine_rows(
        record.record_ids(source, (f.key for f in failures)),
        pa.repeat(source, len(failures)),
        pa.array([_utf8(f.origin) for f in failures], pa.string()),
        f"read {source}",
        [f.error for f in failures],
        [_utf8(f.message) for f in failures],
        pa.array([f.later for f in failures], pa.bool_()),
        counts_as=[f.counts_as for f in failures],
    )


def _utf8(text: str) -> str:
    """Return the text in a form that UTF-8 can encode: half of a surrogate pair is replaced by its
    escape sequence."""
    return text.encode("utf-8", "backslashreplace").decode()
