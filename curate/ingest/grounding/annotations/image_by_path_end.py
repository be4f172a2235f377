"""Finds an image by the end of its path, because a copy of the data set may lack leading folders:
`images/v1/a.jpg` is also found as `v1/a.jpg` or `a.jpg`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from functools import cached_property
from typing import NamedTuple

import xxhash

from curate.ingest.images import OpenedImage, open_image
from curate.ingest.media_root import open_below, path_below
from curate.ingest.reader import Context
from manifests import storage
from manifests.errors import RowError
from manifests.media import Media, Reference

_KEPT = 4
"""Number of files for which a process keeps the paths with shared ends (our choice): the tasks of a
process read splits of the same files one after the other."""
_known: dict[Hashable, dict[str, set[str]]] = {}


class SharedEnds:
    """Finds the image paths in an annotation file that end in the same way, such as `a/1.jpg` and
    `b/1.jpg`. An image that is found by the name `1.jpg` alone may be either of these images.

    `paths` is a function that yields the paths of all images. It is called only if an image is not
    found by its full path: first to find the file names that occur several times, then to collect
    the paths with these names. The collected paths are kept in memory and used again for the same
    `key`, such as for the next split of the file. So `key` must contain the file and everything
    else on which the paths depend; if `key` is None, the paths are not kept.
    """

    def __init__(self, paths: Callable[[], Iterable[str]], key: Hashable = None) -> None:
        self._paths, self._key = paths, key

    def others(self, path: str, end: str) -> list[str]:
        """Returns the other paths that have the same end as `path`, sorted: for the path `a/1.jpg`
        and the end `1.jpg`, the result may be [`b/1.jpg`, `c/1.jpg`]."""
        own = _slashed(path)
        some = self._by_last_name.get(end.rpartition("/")[2], ())
        return sorted(one for one in some if one != own and (one == end or one.endswith(f"/{end}")))

    @cached_property
    def _by_last_name(self) -> dict[str, set[str]]:
        if self._key is None:
            return self._find()
        if self._key not in _known:
            while len(_known) >= _KEPT:
                del _known[next(iter(_known))]
            _known[self._key] = self._find()
        return _known[self._key]

    def _find(self) -> dict[str, set[str]]:
        counts = Counter(_last_digest(path) for path in self._paths())
        repeated = {digest for digest, count in counts.items() if count > 1}
        found: dict[str, set[str]] = {}
        for path in self._paths() if repeated else ():
            if _last_digest(path) in repeated:
                plain = _slashed(path)
                found.setdefault(plain.rpartition("/")[2], set()).add(plain)
        return found


class ImageFolder(NamedTuple):
    """The folder with the images of an annotation file (`root`), and the ends of paths that several
    of these images have in common (`shared`). An image must not be found by such an end alone,
    because the end does not show which of the images it is."""

    root: str
    context: Context
    shared: SharedEnds

    def open(self, path: str) -> OpenedImage | RowError:
        return image_by_path_end(self.root, path, self.context.media, self.shared)


def image_by_path_end(
    root: str, path: str, media: Media, shared: SharedEnds
) -> OpenedImage | RowError:
    """Opens the image at `path` below `root`. If there is no file at this path, leading folders of
    the path are removed one by one until a file is found. An image that is found by a shorter path
    is an error if another path in `shared` has the same end.

    For `images/v1/patch8/a.jpg` the function tries this path, then `v1/patch8/a.jpg`,
    `patch8/a.jpg` and `a.jpg`.
    """
    try:
        names = path_below(path, media.resolve(root)).split("/")
    except RowError as error:
        return error
    for start in range(len(names)):
        uri = storage.join(root, *names[start:])
        if storage.size_and_stamp(media.resolve(uri)) is not None:
            others = shared.others(path, "/".join(names[start:])) if start else []
            return _shared(path, others, uri) if others else open_image(Reference(uri), media)
    return open_below(root, path, media)


def _shared(path: str, others: list[str], uri: str) -> RowError:
    return RowError(
        f"{path!r:.200} does not exist below media_root, and the file that was found by the "
        f"end of this path may also be {' or '.join(repr(one) for one in others[:3])}.",
        uri,
        "Copy the images with their folders, or set media_root to the folder that contains "
        "these folders.",
    )


def _slashed(path: str) -> str:
    return path.replace("\\", "/")


def _last_digest(path: str) -> int:
    name = _slashed(path).rpartition("/")[2]
    return xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass"))
