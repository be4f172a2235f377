"""One pass over one part: read a split or an earlier part, run the steps, commit.

Tasks are small and picklable, name only files, and may be killed and repeated at any time: all
files are written under temporary names, and the part exists when its commit does.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.planned import PlannedStep, part_schema
from curate.engine.rows import Answer, answer, dropped_schema, quarantine_rows
from curate.engine.view import View
from curate.ingest.reader import Context, Failure, KeptBytes, ReadBatch, Reader, Split
from manifests import record, storage
from manifests.errors import FileError, StepError
from manifests.media import KEPT, Limits, Media
from manifests.run import manifest
from manifests.run.ledger import Account, check, total
from manifests.run.manifest import Commit, FileEntry
from manifests.storage import parts

PART, DROPPED, QUARANTINE, KEPT_BYTES = ".arrow", ".dropped.arrow", ".quarantined.arrow", ".media"
BATCH_ROWS = 8192
"""Rows a fused pass handles at once (ours)."""
IMAGE_BATCH_ROWS = 128
"""Rows at once where steps ask for images, so that the shared decodes fit in memory (ours)."""


class Setting(NamedTuple):
    """What every task of a run needs: where relative uris start, where kept media lie, limits."""

    base: str
    kept: str
    limits: Limits


class ReadTask(NamedTuple):
    """Read one split into one part."""

    part: str
    token: str
    split: Split


@dataclass(frozen=True)
class ReadPass:
    """The pass that makes the parts of one source."""

    setting: Setting
    reader: Reader
    folder: str

    def __call__(self, task: ReadTask) -> Commit:
        return run_read(self, task)


@dataclass(frozen=True)
class RowPass:
    """The fused pass of consecutive row and reshape steps. `before` made earlier columns."""

    setting: Setting
    before: list[PlannedStep]
    steps: list[PlannedStep]
    folder: str

    def __call__(self, task: View) -> Commit:
        return run_rows(self, task)


class _Files:
    """The files of one part: kept rows stream out, what is gone is gathered and written last."""

    def __init__(self, folder: str, part: str, kept: parts.Writer) -> None:
        self.folder, self.part, self.kept = folder, part, kept
        self.dropped: list[pa.Table] = []
        self.quarantined: list[pa.Table] = []
        self.accounts: list[Account] = []
        self.media_bytes = self.text_bytes = 0

    def keep(self, batch: pa.Table) -> None:
        if batch.num_rows:
            self.media_bytes += _sum(batch["media"], "length")
            self.text_bytes += _sum(batch["content"], "text")
            self.kept.write(batch)

    def take(self, said: Answer) -> None:
        if said.dropped.num_rows:
            self.dropped.append(said.dropped)
        if said.quarantined.num_rows:
            self.quarantined.append(said.quarantined)
        self.accounts.append(said.account)

    def gone(self, ending: str, tables: list[pa.Table]) -> list[FileEntry]:
        if not tables:
            return []
        uri = storage.join(self.folder, self.part + ending)
        return [parts.write(uri, tables[0].schema, [pa.concat_tables(tables)])]


def _sum(lists: pa.ChunkedArray, field: str) -> int:
    """The sum of a number in a column of lists of structs, or of the lengths of a text."""
    values = pc.struct_field(record.one_chunk(lists).flatten(), field)
    if pa.types.is_string(values.type):
        values = pc.binary_length(values)
    return pc.sum(values).as_py() or 0


def run_read(task_pass: ReadPass, task: ReadTask) -> Commit:
    """Turn a split into a part: its records, and what could not become one."""
    reader, folder = task_pass.reader, task_pass.folder
    storage.delete(_uri(folder, task.part, ".json"))
    with contextlib.ExitStack() as stack:
        media = stack.enter_context(contextlib.closing(_media(task_pass.setting, None)))
        sink = _kept_sink(stack, reader, folder, task.part)
        kept = stack.enter_context(parts.writing(_uri(folder, task.part, PART), record.SCHEMA))
        files = _Files(folder, task.part, kept)
        beside = f"{KEPT}{storage.base_name(folder)}/{task.part}{KEPT_BYTES}"
        keep = KeptBytes(beside, sink)
        context = Context(task_pass.setting.base, media, keep)
        for found in _until_broken(reader, task.split, context):
            _take_found(files, found, reader.name)
    extra = [_kept_entry(task.part, sink)] if sink else []
    origin = task.split.files[0].uri
    return _commit(files, task.token, origin, [f"read {reader.name}"], extra)


def _until_broken(reader: Reader, split: Split, context: Context) -> Iterator[ReadBatch]:
    """What a split holds; a file that breaks is one failure, after what was read of it."""
    try:
        yield from reader.read(split, context)
    except FileError as error:
        file = split.files[0]
        told = f"{error.fault} What follows in the file is lost. {error.fix}".strip()
        broken = Failure(file.name, file.uri, type(error).__name__, told)
        yield ReadBatch(record.SCHEMA.empty_table(), [broken])


def _kept_sink(
    stack: contextlib.ExitStack, reader: Reader, folder: str, part: str
) -> storage.Sink | None:
    if not reader.keeps_bytes:
        return None
    return stack.enter_context(storage.writing(_uri(folder, part, KEPT_BYTES)))


def _kept_entry(part: str, sink: storage.Sink) -> FileEntry:
    return FileEntry(name=part + KEPT_BYTES, rows=0, size_bytes=sink.size_bytes, digest=sink.digest)


def _take_found(files: _Files, found: ReadBatch, source: str) -> None:
    if found.records.schema != record.SCHEMA:
        raise StepError("did not answer in the record schema", f"reader of source {source}")
    files.keep(found.records)
    rows = found.records.num_rows
    failed = _failures(found.failures, source)
    account = Account(
        step=f"read {source}",
        rows_in=rows + len(found.failures),
        kept=rows,
        quarantined=dict(Counter(f.error for f in found.failures)),
    )
    nothing = pa.table({})
    files.take(Answer(found.records, nothing, failed, account))


def _failures(failures: list[Failure], source: str) -> pa.Table:
    return quarantine_rows(
        record.record_ids(source, (f.key for f in failures)),
        pa.repeat(source, len(failures)),
        pa.array([_sayable(f.origin) for f in failures], pa.string()),
        f"read {source}",
        [f.error for f in failures],
        [_sayable(f.message) for f in failures],
    )


def _sayable(text: str) -> str:
    """The text with what UTF-8 cannot say (half of a surrogate pair) escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def run_rows(task_pass: RowPass, view: View) -> Commit:
    """Run fused steps over a part, batch by batch."""
    steps, folder = task_pass.steps, task_pass.folder
    side = max((_side(p) for p in steps), default=0) or None
    schema = part_schema([*task_pass.before, *steps])
    gone = dropped_schema(schema)
    storage.delete(_uri(folder, view.name, ".json"))
    with (
        contextlib.closing(_media(task_pass.setting, side)) as media,
        parts.writing(_uri(folder, view.name, PART), schema) as kept,
    ):
        files = _Files(folder, view.name, kept)
        for batch in view.read(IMAGE_BATCH_ROWS if side else BATCH_ROWS):
            for planned in steps:
                said = answer(planned, batch, media, gone)
                files.take(said)
                batch = said.kept
            files.keep(batch.cast(schema))
            media.forget()
    return _commit(files, view.token, view.origin, [p.name for p in steps])


def _side(planned: PlannedStep) -> int:
    return getattr(planned.step, "image_side", None) or 0


def _media(setting: Setting, side: int | None) -> Media:
    return Media(setting.base, setting.kept, setting.limits, side)


def _uri(folder: str, part: str, ending: str) -> str:
    return storage.join(folder, part + ending)


def _commit(
    files: _Files, token: str, origin: str, names: list[str], extra: list[FileEntry] | None = None
) -> Commit:
    written = [
        files.kept.entry,
        *files.gone(DROPPED, files.dropped),
        *files.gone(QUARANTINE, files.quarantined),
        *(extra or []),
    ]
    known = total(files.accounts)
    ledger = known + [Account(step=n) for n in names if n not in {a.step for a in known}]
    check(ledger, origin)
    commit = Commit(
        part=files.part,
        inputs_digest=token,
        origin=origin,
        rows=files.kept.rows,
        media_bytes=files.media_bytes,
        text_bytes=files.text_bytes,
        files=written,
        ledger=ledger,
    )
    manifest.save(commit, _uri(files.folder, files.part, ".json"))
    return commit
