"""Sources that are one JSON object of arrays, joined by ids."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.hunt import damage
from tests.hunt.made import IN, Damaged, Made
from tests.hunt.seen import Seen

NAME = "file.json"
Limits = tuple[int | None, int | None]
"""The largest numbers of records that damage to an element of an array may cost and add."""


class Document(NamedTuple):
    """A JSON object of arrays. `counted` has the names of the arrays whose elements are units, and
    `limits` what damage to an element of each array may cost; `ordered` those whose order shows in
    the records. `is_nested` is whether an element has several records of its own, which may be
    fewer without a word if the element has fewer parts."""

    content: dict[str, Any]
    records: Sequence[Seen]
    settings: dict[str, Any]
    counted: tuple[str, ...]
    limits: Mapping[str, Limits]
    ordered: tuple[str, ...] = ()
    more: Mapping[str, bytes] = MappingProxyType({})
    is_nested: bool = False

    def made(self, draw: Random) -> Made:
        """The sound source with this content."""
        data = encoded(self.content, draw)
        settings = {"path": f"{IN}/{NAME}", "media_root": "images", **self.settings}
        return Made(
            settings, self._files(data), list(self.records), self._count(data), self._damage
        )

    def _files(self, data: bytes) -> dict[str, bytes]:
        return {NAME: data, **self.more}

    def _count(self, data: bytes) -> int:
        content = json.loads(data)
        return sum(len(content[name]) for name in self.counted)

    def _damage(self, draw: Random) -> Damaged:
        kinds = (
            self._removed, self._twice, self._moved, self._odd, self._odd, self._odd_element,
            self._bytes, self._bytes,
        )  # fmt: skip
        return draw.choice(kinds)(draw)

    def _element(self, draw: Random) -> tuple[dict[str, Any], str, int]:
        """A copy of the content, and one of its elements: the name of its array, and its number."""
        content = copy.deepcopy(self.content)
        name = draw.choice([name for name in self.limits if content[name]])
        return content, name, draw.randrange(len(content[name]))

    def _removed(self, draw: Random) -> Damaged:
        content, name, at = self._element(draw)
        del content[name][at]
        return self._damaged(f"{name}[{at}] removed", content, name, draw)

    def _twice(self, draw: Random) -> Damaged:
        content, name, at = self._element(draw)
        again = copy.deepcopy(content[name][at])
        content[name].insert(draw.randrange(len(content[name]) + 1), again)
        return self._damaged(f"{name}[{at}] twice", content, name, draw)

    def _odd(self, draw: Random) -> Damaged:
        content, name, at = self._element(draw)
        change = draw.choice((damage.with_an_odd_field, damage.without_a_field))
        content[name][at] = change(content[name][at], draw)
        return self._damaged(f"{name}[{at}] is {content[name][at]}", content, name, draw)

    def _odd_element(self, draw: Random) -> Damaged:
        content, name, at = self._element(draw)
        content[name][at] = damage.odd_value(draw)
        return self._damaged(f"{name}[{at}] is odd", content, name, draw)

    def _moved(self, draw: Random) -> Damaged:
        """The order of the keys and of an array changed."""
        content = copy.deepcopy(self.content)
        name = draw.choice(list(self.limits))
        draw.shuffle(content[name])
        keys = draw.sample(list(content), len(content))
        moved = {key: content[key] for key in keys}
        limit = None if name in self.ordered else 0
        return self._with(f"order of {name} changed", encoded(moved, draw), (limit, limit))

    def _damaged(self, what: str, content: dict[str, Any], name: str, draw: Random) -> Damaged:
        return self._with(what, encoded(content, draw), self.limits[name])

    def _bytes(self, draw: Random) -> Damaged:
        data, _, what = damage.bytes_changed(encoded(self.content, draw), draw)
        return Damaged(what, self._files(data), None, None, True)

    def _with(self, what: str, data: bytes, limits: Limits) -> Damaged:
        units = self._count(data)
        files = self._files(data)
        return Damaged(what, files, *limits, mixes=True, units=units, is_quiet=self.is_nested)


def encoded(content: Any, draw: Random) -> bytes:
    indent = draw.choice((None, None, 1))
    return json.dumps(content, ensure_ascii=draw.random() < 0.1, indent=indent).encode()
