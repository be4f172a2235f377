"""Children of a large XML file one at a time: the same elements as of the complete tree."""

from __future__ import annotations

from xml.etree.ElementTree import tostring

import pytest

from curate.ingest.formats.xml_files import children, parsed
from manifests.errors import FileError

TEXT = b"<a>text<b x='1'>one<c/>two</b> <b/><d><e>&lt;</e></d></a>"


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_children_are_those_of_the_tree(size: int) -> None:
    chunks = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    found = [tostring(child) for child in children(chunks, "a.xml", "a", 99)]
    whole = parsed(TEXT, "a.xml")
    for child in whole:
        child.tail = None
    assert found == [tostring(child) for child in whole]


@pytest.mark.parametrize("fault", [b"&", b"<b>" + b"c" * 99, b"<b>" * 64, b"</b>"])
def test_what_is_complete_before_a_fault_is_kept(fault: bytes) -> None:
    found = children([b"<a><b/><c/>" + fault, b"<d/></a>"], "a.xml", "a", 99)
    assert [next(found).tag, next(found).tag] == ["b", "c"]
    with pytest.raises(FileError):
        next(found)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"<a><b>", "the XML is broken: no element found: line 1, column 6. Correct the XML."),
        (b"<x><b/></x>", "the root element is <x>, not <a>."),
        (b"<!DOCTYPE a><a/>", "line 1: the file declares a document type"),
        (b"<a>" + b"<b>" * 64, "line 1: elements are nested more than 64 levels deep"),
        (b"<a><b>" + b"c" * 99 + b"</b></a>", "an element of 102 bytes is over the limit of 99."),
        (b"<a><b x='" + b"c" * 99, "the XML is broken"),
    ],
)
def test_a_file_that_is_refused_states_why(text: bytes, fault: str) -> None:
    with pytest.raises(FileError) as raised:
        list(children([text], "a.xml", "a", 99))
    assert fault in str(raised.value)
