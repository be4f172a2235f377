"""A benchmark as a recipe names it, and its files."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from manifests import storage
from manifests.errors import InputError
from manifests.media import header
from manifests.storage import File


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Fields = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Benchmark(BaseModel):
    """Items of one benchmark. A field is a column, or a dotted path into one (`choices.text`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="what it is called in `benchmark`")
    path: str = Field(
        description="file, folder or glob of JSON lines, JSON arrays, Parquet, CSV, TSV (.gz and "
        ".zst too), of .txt with an item a line, or of images"
    )
    text: Fields = Field((), description="fields of text: each is compared by itself")
    id: str | None = Field(
        None, description="field of the item's id; null: its file's name and number, from 1"
    )
    image: Fields = Field(
        (), description="fields of images: bytes, base64, Hugging Face's struct, or a path from "
        "the file's folder"
    )  # fmt: skip
    embedding: str | None = Field(None, description="field of a list of numbers")

    @property
    def has_fields(self) -> bool:
        return bool(self.text or self.image or self.embedding or self.id)


class Kind(Enum):
    """What a file is, by its ending."""

    JSON = (".json", ".jsonl", ".ndjson")
    PARQUET = (".parquet", ".parq", ".pq")
    CSV = (".csv",)
    TSV = (".tsv",)
    LINES = (".txt",)
    IMAGE = tuple(f".{ending}" for ending in sorted(header.SUFFIXES))


_TABLES = (Kind.JSON, Kind.PARQUET, Kind.CSV, Kind.TSV)
_PACKED = (".gz", ".zst", ".bz2", ".lz4")


def kind_of(name: str) -> Kind | None:
    """What a file is; None where its ending says nothing that a benchmark can be."""
    name = name.lower()
    for ending in _PACKED:
        name = name.removesuffix(ending)
    return next((kind for kind in Kind if name.endswith(kind.value)), None)


def may_have_images(benchmark: Benchmark) -> bool:
    """Whether items may have images, as far as can be told before its files are listed."""
    return bool(benchmark.image) or not (
        benchmark.has_fields or kind_of(storage.base_name(benchmark.path)) is Kind.LINES
    )


def files_of(benchmark: Benchmark, place: str) -> list[tuple[File, Kind]]:
    """The files of the benchmark's items, by name. `place`: the full form of its path.

    Raises InputError where there are none, and for one that cannot be what the benchmark says.
    """
    listed = [(file, kind_of(file.name)) for file in storage.list_files(place)]
    if not listed:
        raise InputError(
            f"benchmark '{benchmark.name}': there is no such file, folder or glob.", place
        )
    if benchmark.has_fields and any(kind in _TABLES for _, kind in listed):
        listed = [(file, kind) for file, kind in listed if kind is not Kind.IMAGE]
    return [(file, _checked(benchmark, file, kind)) for file, kind in listed]


def _checked(benchmark: Benchmark, file: File, kind: Kind | None) -> Kind:
    told = f"benchmark '{benchmark.name}': "
    if kind is None:
        known = ", ".join(ending for one in Kind if one is not Kind.IMAGE for ending in one.value)
        raise InputError(
            f"{told}its ending is none of {known}, and no image's.", file.uri,
            "Write a path that leaves it out, such as folder/*.parquet.",
        )  # fmt: skip
    if kind in _TABLES and not (benchmark.text or benchmark.image or benchmark.embedding):
        raise InputError(
            f"{told}a table of which no field is named.", file.uri,
            "Name the fields to compare, such as text: [question].",
        )  # fmt: skip
    if kind not in _TABLES and benchmark.has_fields:
        raise InputError(
            f"{told}no table, so it has no fields.", file.uri,
            "Leave text, id, image and embedding out, or give a path of tables alone.",
        )  # fmt: skip
    return kind
