"""Finds the start tags of an XML file without parsing the file, to count elements or to list
names."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

_SKIPPED = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
_ATTRIBUTE = re.compile(rb"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
MAX_TAG_BYTES = 1 << 20
"""Largest size of a tag whose attributes are found (our choice): a tag has some 200 bytes."""
_KEEP = 16
"""Number of bytes at the end of a chunk that are searched again with the next chunk, because the
name of a tag may begin in them (our choice: more than the longest name, `<![CDATA[`)."""


class Tag(NamedTuple):
    """A start tag: its name, and its attributes without escapes (`&amp;` -> `&`)."""

    name: str
    attributes: dict[str, str]


def tags(chunks: Iterable[bytes], names: Collection[str]) -> Iterator[Tag]:
    """Yields the start tags whose names are in `names`, in file order. Tags in comments and CDATA
    are left out.

    `<a><b x="1"/><!-- <b> --></a>` -> `Tag("b", {"x": "1"})` for the name `b`. A tag that is cut
    off at the end of the file, or longer than MAX_TAG_BYTES, is yielded without attributes. The
    file must be UTF-8 or another superset of ASCII.
    """
    wanted = b"|".join(name.encode() for name in names)
    mark = re.compile(rb"<!--|<!\[CDATA\[|<\?|<(?:" + wanted + rb")(?=[\s/>])")
    whole = re.compile(rb"""<(?P<name>[^\s/>]+)(?P<rest>(?:[^>"']|"[^"]*"|'[^']*')*)>""")
    text, until = b"", b""
    for chunk in chunks:
        text, at = text + chunk, 0
        while True:
            if until:
                end = text.find(until, at)
                if end < 0:
                    at = max(at, len(text) - len(until) + 1)
                    break
                at, until = end + len(until), b""
            found = mark.search(text, at)
            if found is None:
                at = max(at, len(text) - _KEEP)
                break
            at = found.start()
            if found.group() in _SKIPPED:
                at, until = found.end(), _SKIPPED[found.group()]
                continue
            tag = whole.match(text, at)
            if tag is None and len(text) - at > MAX_TAG_BYTES:
                yield _tag(found.group()[1:], b"")
                at = found.end()
                continue
            if tag is None:
                break
            yield _tag(tag["name"], tag["rest"])
            at = tag.end()
        text = text[at:]
    rest = mark.search(text)
    if rest is not None and rest.group() not in _SKIPPED:
        yield _tag(rest.group()[1:], b"")


def _tag(name: bytes, rest: bytes) -> Tag:
    found = ((key, one or other) for key, one, other in _ATTRIBUTE.findall(rest))
    return Tag(
        name.decode(),
        {key.decode(): html.unescape(text.decode("utf-8", "replace")) for key, text in found},
    )
