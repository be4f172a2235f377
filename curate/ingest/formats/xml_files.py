"""Small XML files, read so that none can do harm: no document type, hence no entities."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from manifests.errors import FileError

MAX_DEPTH = 64
"""Elements inside each other (ours): annotations have some five."""
_LONGEST_NUMBER = 15
"""Digits that any reader of JSON takes exactly."""


class _Refused(Exception):
    """What a well-formed file has that is not taken."""


def parsed(data: bytes, place: str) -> Element:
    """The root of a file. FileError where it is broken, declares a document type (only there can
    entities be, which grow without bound or name other files), or is nested too deep."""
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
        raise _Refused("it declares a document type, which an annotation has no use for")

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = tree.data, doctype
    try:
        parser.Parse(data, True)
        return tree.close()
    except _Refused as refused:
        line = parser.CurrentLineNumber
        raise FileError(f"line {line}: {refused}.", place, "Take it out.") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise FileError(f"broken XML: {error}.", place, "Repair the file.") from None


def text_of(element: Element, tag: str) -> str | None:
    """What the first child of that tag says, without blanks around it; None where nothing."""
    return (element.findtext(tag) or "").strip() or None


def rest_of(element: Element, spent: tuple[str, ...] = ()) -> dict[str, Any]:
    """The other children as JSON has them: whole numbers, text, or objects; a list where a tag
    comes again."""
    said: dict[str, list[Any]] = {}
    for child in element:
        if child.tag not in spent:
            inner = rest_of(child) if len(child) else _value((child.text or "").strip())
            said.setdefault(child.tag, []).append(inner)
    return {tag: values[0] if len(values) == 1 else values for tag, values in said.items()}


def _value(text: str) -> str | int:
    """A plain whole number as such; `007` is none."""
    is_plain = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_plain and text == str(int(text)) else text
