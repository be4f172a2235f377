"""Finds the readers that accept a file, from its first bytes, and describes the file for
messages."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

import orjson

from curate.ingest.formats import tar
from curate.ingest.formats.chunks import is_compressed, read_chunks
from curate.ingest.formats.columnar import sniffed_schema
from curate.ingest.formats.json_elements import object_keys
from curate.ingest.formats.lines import check_line_ends
from curate.ingest.reader import Head, Reader
from manifests import storage
from manifests.errors import InputError, MediaError
from manifests.media.header import is_image, probe
from manifests.storage import File

HEAD_BYTES = 1 << 20
"""Number of bytes at the start of a file by which its format is detected (our choice)."""
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"PAR1": "a broken parquet file",
    b"ARROW1": "a broken Arrow file",
    b"\xff\xff\xff\xff": "a broken Arrow stream",
    b"%PDF": "a PDF",
    b"\x1aE\xdf\xa3": "a Matroska or WebM video",
    b"RIFF": "a RIFF file, perhaps an AVI video",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"SQLite format 3\0": "an SQLite database",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
"""Names of formats by their first bytes. Images, tars, parquet and Arrow files are detected by
their own parsers."""
_NOT_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a]")
_BROKEN = "a broken "
_MAX_NAMES = 8
"""Largest number of names that a message lists (our choice)."""


def head(file: File, base: str) -> Head:
    """The first bytes of a file, decompressed if its suffix names a compressed format (`.gz`).

    A compressed tar is not decompressed, because no reader accepts it. The file's uri in the
    returned head is absolute, not relative to `base`.
    """
    opened = file._replace(uri=storage.resolve(base, file.uri))
    broken: InputError | None = None
    if is_compressed(opened.uri):
        try:
            unpacked = next(read_chunks(opened.uri), b"")
        except InputError as error:
            broken = error
        else:
            if not tar.is_tar(unpacked):
                return Head(opened, unpacked)
    system, path = storage.filesystem(opened.uri)
    with storage.storage_errors(opened.uri), system.open_input_file(path) as handle:
        return Head(opened, bytes(handle.read(HEAD_BYTES)), broken)


def matching_readers(head: Head, readers: Mapping[str, type[Reader]]) -> list[str]:
    """Returns the names of the readers that accept the file whose first bytes are in `head`."""
    return [name for name, reader in readers.items() if reader.sniff(head)]


def check(
    reader_name: str,
    reader: type[Reader],
    file: File,
    base: str,
    readers: Mapping[str, type[Reader]],
) -> Head:
    """Returns the first bytes of a file, or raises InputError if a reader does not accept it.

    The error describes the file and names the readers that accept it, if there are any. For a file
    that cannot be decompressed, the error is that of decompression.
    """
    start = head(file, base)
    if reader.sniff(start):
        return start
    if start.broken is not None:
        raise InputError(start.broken.fault, file.uri, start.broken.fix)
    if not matching_readers(start, readers):
        check_line_ends(start.data, file.uri)
    raise InputError(
        f"the file is {describe(start)}, which the reader {reader_name!r} cannot read.",
        file.uri,
        _fix(start, readers),
    )


def _fix(head: Head, readers: Mapping[str, type[Reader]]) -> str:
    """Returns the advice of an error message about a file. For a broken file, the advice is to
    write it again or to leave it out. For a file that no reader accepts, the advice is to convert
    it or to leave it out. For any other file, the advice names the readers that accept the content
    and the suffix of the file. If a reader accepts only the content, the advice is to rename the
    file."""
    if describe(head).startswith(_BROKEN):
        return "Download or write it again, or leave it out of the path."
    matching = matching_readers(head, readers)
    name = head.file.name.lower()
    by_suffix = [reader for reader in matching if name.endswith(readers[reader].suffixes or "")]
    if not matching:
        return (
            "No reader can read this file: convert it, for example to JSON lines, or change the "
            "path of the source so that it does not include it."
        )
    if by_suffix:
        return f"Use the reader {' or '.join(by_suffix)}."
    first = matching[0]
    suffixes = " or ".join(readers[first].suffixes)
    return f"Rename the file to end in {suffixes}, and use the reader {first}."


def describe(head: Head) -> str:
    """A description of a file for messages: `a tar of jpg, json, txt`."""
    data = head.data
    if not data:
        return "an empty file"
    if is_image(data):
        return _image(head)
    if tar.is_tar(data):
        return _tar(data)
    schema = sniffed_schema(head)
    if schema is not None:
        kind = "a parquet" if data.startswith(b"PAR1") else "an Arrow"
        return f"{kind} file with columns {_listed(schema.names)}"
    if data[4:8] == b"ftyp":
        return "an MP4 or QuickTime video"
    known = next((name for magic, name in MAGIC.items() if data.startswith(magic)), None)
    return known or _text(data.removeprefix(codecs.BOM_UTF8))


def _image(head: Head) -> str:
    try:
        kind = probe(head.data).mime.removeprefix("image/").removeprefix("x-").upper()
    except MediaError:
        return "a broken image" if len(head.data) >= head.file.size else "an image"
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind} image"


def _tar(data: bytes) -> str:
    names = [member.name or "" for member in tar.members(memoryview(data))]
    endings = sorted({name.rpartition("/")[2].partition(".")[2] for name in names} - {""})
    return f"a tar of {_listed(endings)}" if endings else "an empty tar"


def _text(data: bytes) -> str:
    start = data.lstrip()
    if not start:
        return "blank text"
    if start.startswith(b"["):
        return _array(start)
    if start.startswith(b"{"):
        return _object(start)
    if start.startswith(b"<"):
        return "HTML" if b"<html" in start[:1024].lower() else "XML or HTML"
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start[:4096], len(start) <= 4096)
    except UnicodeDecodeError:
        return f"neither UTF-8 text nor a known format: it starts with {data[:8]!r}"
    if _NOT_TEXT.search(text):
        return f"binary data that starts with {data[:8]!r}"
    first = text.splitlines()[0]
    columns = first.count("\t") + 1
    return f"text of {columns} tab-separated columns" if columns > 1 else f"text: {first[:60]!r}"


def _array(start: bytes) -> str:
    inside = start[1:].lstrip()
    if inside.startswith(b"]"):
        return "an empty JSON array"
    keys = object_keys(inside)
    if keys:
        return f"a JSON array of objects with keys {_listed(keys)}"
    return "a JSON array of arrays" if inside.startswith(b"[") else "a JSON array"


def _object(start: bytes) -> str:
    keys = _listed(object_keys(start))
    first, _, rest = start.partition(b"\n")
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        rest = b""
    what = "JSON lines" if rest.lstrip().startswith(b"{") else "a JSON object"
    return f"{what} with keys {keys}"


def _listed(names: list[str]) -> str:
    """Lists the names in their order, at most _MAX_NAMES of them: `a, b, c, ...`."""
    shown = [name if name.isprintable() else repr(name) for name in names[:_MAX_NAMES]]
    return ", ".join(shown) + (", ..." if len(names) > _MAX_NAMES else "")
