"""Whether the last part of a url, such as `1.jpg`, belongs to several urls of its file.

A folder of downloaded images has one file of this name, and nothing in the folder shows of which of
the urls it is. So the urls of the complete file are needed; only digests of them are kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from curate.ingest.file_template import URL_FIELDS
from curate.ingest.media_folder import lower_suffix
from manifests.errors import InputError
from manifests.storage import File

_KEPT = 4
"""Number of files whose shared last parts a process keeps (our choice): its tasks read splits of
the same files one after the other."""


class _Shared(NamedTuple):
    """The digests of the last parts that several urls have, sorted, and the numbers of urls."""

    digests: np.ndarray
    urls: np.ndarray


_known: dict[tuple[str, File, str], _Shared] = {}


class LastParts:
    """The last parts of the urls of a file. `column` names the urls, and `load` yields them; it is
    called only if an image is found by the last part of its url."""

    def __init__(
        self, base: str, file: File, column: str, load: Callable[[], Iterable[pa.Array]]
    ) -> None:
        self._key, self._load = (base, file, column), load

    def urls(self, urls: pa.Array) -> list[int]:
        """The number of different urls of the file with the last part of each of these urls."""
        if self._key not in _known:
            while len(_known) >= _KEPT:
                del _known[next(iter(_known))]
            _known[self._key] = _shared(self._load())
        shared = _known[self._key]
        digests = np.array([digest for digest, _ in _digests(urls)], np.uint64)
        found = np.searchsorted(shared.digests, digests)
        at = np.minimum(found, max(0, len(shared.digests) - 1))
        if not len(shared.digests):
            return [1] * len(digests)
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
    """Yields two digests for each url: of its last part, and of the whole url. If a url has no last
    part, both are the digest of the url."""
    names = URL_FIELDS["url_name"](urls).to_pylist()
    for url, name in zip(urls.to_pylist(), names, strict=True):
        digest = _digest(url or "")
        yield digest if name is None else _digest(lower_suffix(name)), digest


def _digest(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))
