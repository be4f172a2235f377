"""Start tags of XML are found at any border of chunks, and only those."""

from __future__ import annotations

import pytest

from curate.ingest.formats.xml_tags import Tag, tags

TEXT = b"""<?xml version="1.0"?><a><!-- <image name="no"/> --><images/><image name="a>b" id='1'>
<![CDATA[<image name="no"/>]]><imagery x="1"/></image><track/><image><image name="cut"""


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1000])
def test_tags_outside_comments_and_cdata_are_found(size: int) -> None:
    chunks = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    assert list(tags(chunks, ("image", "track"))) == [
        Tag("image", {"name": "a>b", "id": "1"}), Tag("track", {}), Tag("image", {}),
        Tag("image", {}),
    ]  # fmt: skip
    assert list(tags([b"<!-- <image"], ("image",))) == []
    assert len(list(tags([b'<image name="' + b"a" * (1 << 21), b"><image/>"], ("image",)))) == 2


def test_attributes_are_without_escapes() -> None:
    text = b'<image name="caf&#233; &#xe9; &amp;amp; &quot;&lt;" id="&apos;"/>'
    assert list(tags([text], ("image",))) == [
        Tag("image", {"name": 'caf\u00e9 \u00e9 &amp; "<', "id": "'"})
    ]
