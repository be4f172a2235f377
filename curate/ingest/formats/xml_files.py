"""Parses small XML files safely. A document type declaration is an error, because it could define
entities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from manifests.errors import FileError

MAX_DEPTH = 64
"""Largest nesting depth of elements (our choice): annotations have about five levels."""
_MAX_DIGITS = 15
"""Largest number of digits in an integer that every JSON parser reads exactly (RFC 8259: up to
2^53 - 1, which has 16)."""


class _Refused(Exception):
    """Raised if a well-formed XML file has content that is not allowed."""


def parsed(data: bytes, place: str) -> Element:
    """Parses an XML file, and returns its root element. Raises FileError if the file is broken, is
    nested too deeply, or declares a document type.

    A document type can define entities, which may grow without bound or include other files.
    """
    parser = _Parser(place, 0)
    [root] = [*parser.feed(data), *parser.close()]
    return root


def children(chunks: Iterable[bytes], place: str, root: str, max_bytes: int) -> Iterator[Element]:
    """Yields the children of the root element one at a time, so that a large file needs little
    memory. Raises FileError in the same cases as `parsed`, and if the root element has another tag
    than `root`, or if a child has more than `max_bytes` bytes. All complete children before the
    error are yielded first."""
    parser = _Parser(place, 1, root, max_bytes)
    for chunk in chunks:
        yield from parser.feed(chunk)
    yield from parser.close()


class _Parser:
    """Parses XML piece by piece, and yields the complete elements at one nesting depth: depth 0 is
    the root element, and depth 1 has the children of the root."""

    def __init__(self, place: str, depth: int, root: str = "", max_bytes: int = -1) -> None:
        self._place, self._depth, self._root, self._max_bytes = place, depth, root, max_bytes
        self._tree, self._open, self._start = TreeBuilder(), 0, 0
        self._complete: list[Element] = []
        parser = self._expat = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._begin, self._end
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = self._text, _doctype

    def feed(self, data: bytes) -> Iterator[Element]:
        """Parses the next bytes of the file. Yields the elements that end in these bytes. If the
        bytes are faulty, raises the FileError after the last complete element."""
        return self._parse(data, False)

    def close(self) -> Iterator[Element]:
        return self._parse(b"", True)

    def _parse(self, data: bytes, is_last: bool) -> Iterator[Element]:
        fault = self._fault_in(data, is_last)
        complete, self._complete = self._complete, []
        yield from complete
        if fault is not None:
            raise fault

    def _fault_in(self, data: bytes, is_last: bool) -> FileError | None:
        try:
            self._expat.Parse(data, is_last)
            if self._open > self._depth:
                self._check_size()
        except _Refused as refused:
            fault = f"line {self._expat.CurrentLineNumber}: {refused}."
            return FileError(fault, self._place, "Remove the content at this line from the file.")
        except (expat.ExpatError, ValueError, LookupError) as error:
            return FileError(f"the XML is broken: {error}.", self._place, "Correct the XML.")
        except FileError as error:
            return error
        return None

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        if self._open == 0 and self._root and tag != self._root:
            fault = f"the root element is <{tag}>, not <{self._root}>."
            fix = "Use the reader of this format: `curate readers` lists all readers."
            raise FileError(fault, self._place, fix)
        if self._open == self._depth:
            self._start = self._expat.CurrentByteIndex
        self._open += 1
        if self._open > MAX_DEPTH:
            raise _Refused(f"elements are nested more than {MAX_DEPTH} levels deep")
        if self._open > self._depth:
            self._tree.start(tag, attributes)

    def _text(self, text: str) -> None:
        if self._open > self._depth:
            self._tree.data(text)

    def _end(self, tag: str) -> None:
        self._open -= 1
        if self._open >= self._depth:
            self._tree.end(tag)
        if self._open == self._depth:
            self._check_size()
            self._complete.append(self._tree.close())
            self._tree = TreeBuilder()

    def _check_size(self) -> None:
        size = self._expat.CurrentByteIndex - self._start
        if size > self._max_bytes >= 0:
            raise FileError(
                f"line {self._expat.CurrentLineNumber}: an element of {size} bytes is over the "
                f"limit of {self._max_bytes}.",
                self._place,
                "Raise media.max_row_bytes.",
            )


def _doctype(*_: Any) -> None:
    raise _Refused("the file declares a document type, which annotations do not need")


def text_of(element: Element, tag: str) -> str | None:
    """The stripped text of the first child with the given tag; None if there is no such child or
    its text is blank."""
    return (element.findtext(tag) or "").strip() or None


def rest_of(element: Element, spent: tuple[str, ...] = ()) -> dict[str, Any]:
    """Returns the child elements as a JSON object by tag, without the children whose tag is in
    `spent`, because the caller has already used these children.

    `<a><n>1</n><n>2</n><x>hi</x></a>` -> `{"n": [1, 2], "x": "hi"}`
    """
    values: dict[str, list[Any]] = {}
    for child in element:
        if child.tag not in spent:
            inner = rest_of(child) if len(child) else plain_value((child.text or "").strip())
            values.setdefault(child.tag, []).append(inner)
    return {tag: of_tag[0] if len(of_tag) == 1 else of_tag for tag, of_tag in values.items()}


def plain_value(text: str) -> str | int:
    """Converts text to int if it is an integer in the usual notation, and returns other text
    unchanged: `7` -> 7, `007` -> "007"."""
    is_plain = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if is_plain and text == str(int(text)) else text
