"""Templates that make file names from the columns of a row, such as `{key[0:5]}/{key}.jpg`."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator

from manifests.setting_values import Names

USUAL_FILES = (
    "{url_path}",
    "{uid}",
    "{key}",
    "{key[0:5]}/{key}",
    "{url_sha256}",
    "{url_md5}",
    "{url_name}",
)
"""The templates that are tried, in this order, to find a row's image if the recipe does not set
`file`."""


class _Field(NamedTuple):
    """A field of a template, and the fixed text `before` the field. The field stands for the
    characters `start` to `stop` (exclusive; None: the end) of the value in a column:
    `images/{key[0:5]}` is `_Field("images/", "key", 0, 5)`."""

    before: str
    column: str
    start: int
    stop: int | None


class Template:
    """A file name with column names in braces. A column name may be followed by a slice, which
    takes a part of the column's value.

    `{key[0:5]}/{key}.jpg` with key `000012345` -> `00001/000012345.jpg`. If the table has a column
    of urls, the fields in URL_FIELDS, such as `{url_sha256}`, can be used like columns. Raises
    ValueError for a template that uses no column, or that has a malformed field such as `{key[0]}`.
    """

    _FIELD = re.compile(r"\{([^{}\[\]]+)(?:\[(\d*):(\d*)\])?\}")

    def __init__(self, text: str) -> None:
        *pieces, self._after = self._FIELD.split(text)
        if not pieces or re.search(r"[{}]", self._FIELD.sub("", text)):
            raise ValueError(
                f"the file name template '{text}' is not valid: it needs column "
                f"names in braces, as in '{{key[0:5]}}/{{key}}.jpg'"
            )
        self._fields = [
            _Field(before, column, int(start or 0), int(stop) if stop else None)
            for before, column, start, stop in zip(*[iter(pieces)] * 4, strict=True)
        ]

    @property
    def columns(self) -> set[str]:
        return {field.column for field in self._fields}

    def fill(self, columns: Mapping[str, pa.Array]) -> list[str | None]:
        """Makes one file name for each row from the values in `columns`. The file name is None if a
        column of the template is null or empty in this row."""
        pieces: list[Any] = []
        for field in self._fields:
            value = columns[field.column].cast(pa.string())
            value = pc.if_else(pc.equal(value, ""), pa.scalar(None, pa.string()), value)
            pieces += [field.before, pc.utf8_slice_codeunits(value, field.start, field.stop)]
        return list(pc.binary_join_element_wise(*pieces, self._after, "").to_pylist())


def _checked(files: tuple[str, ...]) -> tuple[str, ...]:
    for file in files:
        Template(file)
    return files


Files = Annotated[Names, AfterValidator(_checked)]
"""The type of a setting that takes one template, or several templates to try in order."""


def _digests(algorithm: Callable[[bytes], Any], urls: pa.Array) -> pa.Array:
    hexes = [None if u is None else algorithm(u.encode()).hexdigest() for u in urls.to_pylist()]
    return pa.array(hexes, pa.string())


def _last_of_path(urls: pa.Array) -> pa.Array:
    return pc.struct_field(pc.extract_regex(urls, r"^[^?#]*/(?P<name>[^/?#]+)"), "name")


def _plain_paths(urls: pa.Array) -> pa.Array:
    return pc.if_else(pc.match_substring(urls, "://"), pa.scalar(None, pa.string()), urls)


URL_FIELDS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "url_path": _plain_paths,
    "url_sha256": functools.partial(_digests, hashlib.sha256),
    "url_md5": functools.partial(_digests, functools.partial(hashlib.md5, usedforsecurity=False)),
    "url_name": _last_of_path,
}
"""Fields that are computed from a column of urls: the url itself if it is a plain path (`a/b.jpg`),
the hexadecimal digests of the url, and the last part of the url, without query and fragment."""


def lower_suffix(name: str) -> str:
    """The name with its suffix in lower case: `A.JPG` -> `A.jpg`."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}{dot}{suffix.lower()}"
