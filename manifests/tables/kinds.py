"""The formats of files that steps read as tables, as lists of texts, or as images."""

from __future__ import annotations

from enum import Enum

from manifests.media import header


class Kind(Enum):
    """A file format. The ending of a file's name determines its format."""

    JSON = (".json", ".jsonl", ".ndjson")
    PARQUET = (".parquet", ".parq", ".pq")
    CSV = (".csv",)
    TSV = (".tsv",)
    LINES = (".txt",)
    IMAGE = tuple(f".{ending}" for ending in sorted(header.SUFFIXES))


TABLES = (Kind.JSON, Kind.PARQUET, Kind.CSV, Kind.TSV)
_PACKED = (".gz", ".zst", ".bz2", ".lz4")


def kind_of(name: str) -> Kind | None:
    """Returns the format of a file from its name: "a.jsonl.gz" -> Kind.JSON. Returns None if no
    format of `Kind` has the ending of the name."""
    name = name.lower()
    for ending in _PACKED:
        name = name.removesuffix(ending)
    return next((kind for kind in Kind if name.endswith(kind.value)), None)
