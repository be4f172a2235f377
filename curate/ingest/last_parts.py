"""Finds out whether several urls have the same last part, such as `1.jpg` in `http://a.b/c/1.jpg`.

A folder of downloaded images has only one file `1.jpg`. If several urls end in `1.jpg`, nothing in
the folder shows from which url the file was downloaded. So all urls of a table file are read, and
digests of their last parts are kept in memory. The urls of different table files are compared by
samples: for each batch of rows, only the urls whose last parts have the smallest digests are kept,
so that a last part that occurs in two files is likely to be in the samples of both files. The
samples are the evidence from which `check_last_parts` finds last parts that occur in several files.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from curate.ingest.evidence import Evidence, Findings
from curate.ingest.file_template import URL_FIELDS, lower_suffix
from manifests.errors import InputError
from manifests.storage import File

QUESTION = "last parts of urls"
SAMPLED = 64
"""Number of last parts that a batch of rows reports, to compare them with those of other files (our
choice: 4 kB of evidence, and all last parts of a batch of up to 64 rows)."""
_SHOWN = 60
"""The maximum length of a last part in a message, in characters (our choice)."""
_KEPT = 4
"""Number of files for which a process keeps the last parts that several urls share (our choice):
the tasks of a process read splits of the same files one after the other."""


class _Shared(NamedTuple):
    """The last parts that several urls of a file have in common. `digests` has the digest (uint64)
    of each of these last parts, sorted; `urls` has the number of different urls with each last
    part."""

    digests: np.ndarray
    urls: np.ndarray


_known: dict[tuple[str, File, str], _Shared] = {}


class LastParts:
    """Counts how many urls of a file have the same last part.

    `column` is the name of the column of urls. `load` is a function that yields all urls of the
    file; it is called only if an image is found by the last part of its url.
    """

    def __init__(
        self, base: str, file: File, column: str, load: Callable[[], Iterable[pa.Array]]
    ) -> None:
        self._key, self._load = (base, file, column), load
        self._sampled: set[str] = set()

    def urls(self, urls: pa.Array) -> list[int]:
        """Returns, for each url in `urls`, how many different urls of the file have the same last
        part as this url; the case of the suffix (`.JPG`) is ignored. The number includes the url
        itself, so it is 1 if no other url has the last part."""
        if self._key not in _known:
            while len(_known) >= _KEPT:
                del _known[next(iter(_known))]
            _known[self._key] = _shared(self._load())
        pairs = list(_digests(urls))
        counts = _counts(_known[self._key], np.array([name for name, _ in pairs], np.uint64))
        counted = zip(pairs, urls.to_pylist(), counts, strict=True)
        self._store_sample({pair: url or "" for pair, url, count in counted if count == 1})
        return counts

    def evidence(self) -> Findings:
        """Returns a sample of the urls that the method `urls` has received since the last call of
        `evidence` and whose last part no other url of the file has. The sample is later compared
        with the samples of the other files of the source."""
        sampled, self._sampled = self._sampled, set()
        return {QUESTION: Evidence({}, {}, {}, sorted(sampled))} if sampled else {}

    def _store_sample(self, urls: dict[tuple[int, int], str]) -> None:
        """Stores a sample of `urls`, which later shows whether a url of another file has the same
        last part. The sample is the SAMPLED urls with the smallest keys; the keys of `urls` are
        pairs (digest of the url's last part, digest of the whole url)."""
        for name, digest in heapq.nsmallest(SAMPLED, urls):
            shown = urls[name, digest].rpartition("/")[2][:_SHOWN]
            self._sampled.add(f"{name:016x} {digest:016x} {shown}")


def check_last_parts(evidence: Findings, place: str) -> None:
    """Raises InputError if images were found by the last parts of their urls, and the samples show
    that urls in different files of the source have the same last part. `evidence` has the samples
    of all files, and `place` is the path of the source."""
    found = evidence.get(QUESTION)
    urls: dict[str, dict[str, str]] = {}
    for one in found.sample if found else ():
        name, digest, shown = one.split(" ", 2)
        urls.setdefault(name, {})[digest] = shown
    several = [next(iter(some.values())) for some in urls.values() if len(some) > 1]
    if several:
        raise InputError(
            f"{len(several)} of {len(urls)} image names that were compared are the last part of "
            f"several urls in different files, such as {several[0]!r}, so it is not known from "
            "which url an image was downloaded.",
            place,
            "If each file has its own folder of images, make one source for each file. Otherwise, "
            "name the images by their complete urls, and set `file` to this name, such as "
            "`{url_sha256}`, or remove these rows.",
        )


def _counts(shared: _Shared, digests: np.ndarray) -> list[int]:
    if not len(shared.digests):
        return [1] * len(digests)
    at = np.minimum(np.searchsorted(shared.digests, digests), len(shared.digests) - 1)
    counts: list[int] = np.where(shared.digests[at] == digests, shared.urls[at], 1).tolist()
    return counts


def _shared(batches: Iterable[pa.Array]) -> _Shared:
    pairs = [np.zeros((0, 2), np.uint64)]
    with contextlib.suppress(InputError):  # the fault of the file is reported when it is read
        for urls in batches:
            pairs.append(np.array(list(_digests(urls)), np.uint64).reshape(-1, 2))
    names, urls_of = np.concatenate(pairs).T
    order = np.lexsort((urls_of, names))
    names, urls_of = names[order], urls_of[order]
    is_new = np.ones(len(names), bool)
    is_new[1:] = (names[1:] != names[:-1]) | (urls_of[1:] != urls_of[:-1])
    digests, counts = np.unique(names[is_new], return_counts=True)
    return _Shared(digests[counts > 1], counts[counts > 1])


def _digests(urls: pa.Array) -> Iterator[tuple[int, int]]:
    """Yields (digest of the last part, digest of the whole url) for each url. If a url has no last
    part, both are the digest of the whole url."""
    names = URL_FIELDS["url_name"](urls).to_pylist()
    for url, name in zip(urls.to_pylist(), names, strict=True):
        digest = _digest(url or "")
        yield digest if name is None else _digest(lower_suffix(name)), digest


def _digest(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))
