"""Normalises labels, and reads files that give labels new names."""

from __future__ import annotations

import csv
import io
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from manifests import storage
from manifests.errors import InputError
from manifests.text.yaml_values import parse_yaml

_FORM = "Write YAML or JSON of `old: new`, or CSV or TSV with two columns and no header."


def normalise(labels: pa.Array, fold: bool = True) -> pa.Array:
    """Converts labels to Unicode's form NFC. A run of whitespace and underscores becomes one space,
    and is removed at both ends.

    With `fold`, labels are also converted to lower case: `normalise(["Traffic__Light "]) ->
    ["traffic light"]`
    """
    composed = pc.utf8_normalize(labels, "NFC")
    spaced = pc.replace_substring_regex(composed, r"[\s\x0b\x1c-\x1f\p{Z}\x85_]+", " ")
    trimmed = pc.utf8_trim_whitespace(spaced)
    return pc.utf8_lower(trimmed) if fold else trimmed


def read_renames(path: str) -> dict[str, str]:
    """Returns a dict from old label to new label, read from a YAML, JSON, CSV or TSV file. Raises
    InputError if the file is malformed.

    The file is parsed again only when its size or date changes.
    """
    stamp = storage.size_and_stamp(path)
    if stamp is None:
        raise InputError("the file of labels does not exist", path, "Correct `rename_file`.")
    return _read(path, stamp)


@lru_cache(maxsize=4)
def _read(path: str, stamp: tuple[int, int]) -> dict[str, str]:
    try:
        text = storage.read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fault = f"the file is not UTF-8: {error}"
        raise InputError(fault, path, "Save the file as UTF-8.") from error
    separator = {"csv": ",", "tsv": "\t"}.get(path.rsplit(".", 1)[-1].lower())
    return _mapping(text, path) if separator is None else _columns(text, separator, path)


def _mapping(text: str, path: str) -> dict[str, str]:
    parsed = parse_yaml(text, path, _FORM)
    if not isinstance(parsed, dict):
        raise InputError(
            f"the file has {str(parsed)[:80]!r}, which is not a mapping of `old: new`", path, _FORM
        )
    for old, new in parsed.items():
        if not (isinstance(old, str) and isinstance(new, str)):
            raise InputError(
                f"a label in the entry `{old!r}: {new!r}` is not text.",
                path,
                "Put quotes around both labels.",
            )
    return parsed


def _columns(text: str, separator: str, path: str) -> dict[str, str]:
    names: dict[str, str] = {}
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"line {reader.line_num}: {error}", path, _FORM) from None
    for number, row in rows:
        if row and len(row) != 2:
            raise InputError(f"line {number} has {len(row)} columns, not 2: {row}", path, _FORM)
        if row and names.setdefault(row[0], row[1]) != row[1]:
            raise InputError(
                f"line {number} gives the label {row[0]!r} another new name than an earlier line",
                path,
                "Keep one line for each label.",
            )
    return names
