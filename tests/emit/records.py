"""Records with real images in a tar, and functions that write shards of them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate.emit import formats, order
from curate.emit.settings import FormatName, Shards
from curate.emit.shard import Job, ShardCommit
from manifests import record
from manifests.media import Media
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry
from tests.make import make_image

IMAGES = [make_image(64, 48, seed=n, kind=kind) for n, kind in enumerate(["JPEG", "PNG", "WEBP"])]


def text(value: str | None, role: str | None = None) -> dict[str, Any]:
    return {"kind": "text", "text": value, "role": role, "loss": role in (None, "assistant")}


def medium(media: int, role: str | None = None, kind: str = "image") -> dict[str, Any]:
    return {"kind": kind, "media": media, "role": role, "loss": False}


def row(key: str, content: list[dict[str, Any]], *media: dict[str, Any], **more: Any) -> Any:
    return {"key": key, "origin": f"in#{key}", "content": content, "media": list(media), **more}


def records(*rows: Any, modality: str = "caption") -> pa.Table:
    return record.from_rows(list(rows), "web", modality)


def tar(path: Path, files: list[bytes]) -> list[dict[str, Any]]:
    """Writes a tar of these files; returns the media struct of each."""
    with tarfile.open(path, "w") as out:
        for number, data in enumerate(files):
            member = tarfile.TarInfo(f"{number:06d}.jpg")
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
    with tarfile.open(path) as back:
        places = [(member.offset_data, member.size) for member in back]
    return [
        {"kind": "image", "uri": path.name, "offset": offset, "length": length}
        for offset, length in places
    ]


def captioned(folder: Path, count: int) -> pa.Table:
    """Records of one image and one text, in corpus order."""
    media = tar(folder / "in.tar", [IMAGES[n % 3] for n in range(count)])
    return records(
        *(row(f"{n}", [medium(0), text(f"caption {n}")], m) for n, m in enumerate(media))
    )


def job(folder: Path, *tables: pa.Table, number: int = 0, shards: int = 1, **settings: Any) -> Job:
    """The job of writing a shard into `folder`/out; media are in `folder`."""
    media = Media(str(folder), str(folder))
    given = (tables[0].schema, iter(tables))
    return Job(str(folder / "out"), number, shards, *given, media, Shards(**settings))


def write(name: FormatName, folder: Path, table: pa.Table, **settings: Any) -> ShardCommit:
    return formats.write(name, job(folder, table, **settings))


def write_all(
    name: FormatName, folder: Path, table: pa.Table, count: int = 1, **settings: Any
) -> tuple[list[ShardCommit], list[FileEntry]]:
    """Writes all shards of a table, shuffled with seed 17, and the files for all of them."""
    uri, pieces = str(folder / "sorted.arrow"), order.bucket(table, 17, count)
    parts.write(uri, pieces[0].schema, pieces)
    commits = [
        formats.write(
            name, job(folder, *order.gather([uri], n).tables, number=n, shards=count, **settings)
        )
        for n in range(count)
    ]
    return commits, formats.finish(name, str(folder / "out"), commits, "5eed")
