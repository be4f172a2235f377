"""Parses small XML files safely. A document type declaration is rejected: it could define
entities."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from manifests.errors import FileError

MAX_DEPTH = 64
"""Largest nesting depth of elements (our choice): annotations have about five levels."""
_MAX_DIGITS = 15
"""Largest number of digits in an integer that every JSON parser reads exactly."""


class _Refused(Exception):
    """Raised for a well-formed XML file that has content that is not allowed."""


def parsed(data: bytes, place: str) -> Element:
    """The root element of an XML file. Raises FileError if the file is broken, is nested too
    deeply, or declares a document type.

    A document type can define entities, which may grow without bound or include other files.
    """
    tree = TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise _Refused(f"elements are nested more than {MAX_DEPTH} deep")
        tree.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        tree.end(tag)

    def doctype(*_: Any) -> None:
        raise _Refused("the file declares a document type, which annotations do not need")

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = tree.data, doctype
    try:
        parser.Parse(data, True)
        return tree.close()
    except _Refused as refused:
        line = parser.CurrentLineNumber
        raise FileError(f"line {line}: {refused}.", place, "Remove it.") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise FileError(f"broken XML: {error}.", place, "Repair the file.") from None


def text_of(element: Element, tag: str) -> str | None:
    """The stripped text of the first child with the given tag; None if there is no such child or
    its text is blank."""
    return (element.findtext(tag) or "").strip() or None


def rest_of(element: Element, spent: tuple[str, ...] = ()) -> dict[str, Any]:
    """The child elements as a JSON object by tag, without the children whose tag is in `spent`.

    `<a><n>1</n><n>2</n><x>hi</x></a>` -> `{"n": [1, 2], "x": "hi"}`
    """
    values: dict[str, list[Any]] = {}
    for child in element:
        if child.tag not in spent:
            inner = rest_of(child) if len(child) else _value((child.text or "").strip())
            values.setdefault(child.tag, []).append(inner)
    return {tag: of_tag[0] if len(of_tag) == 1 else of_tag for tag, of_tag in values.items()}


def _value(text: str) -> str | int:
    """Converts the text of an integer to int, and returns other text unchanged: `7` -> 7, `007` ->
    "007"."""
    is_plain = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if is_plain and text == str(int(text)) else text
