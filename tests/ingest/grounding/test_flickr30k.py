"""An image of Flickr30k Entities becomes a record with its boxes, phrases and sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.ingest.grounding.flickr30k import Flickr30kEntities, parse_sentence
from curate.ingest.grounding.voc import Voc
from curate.ingest.reader import Head
from manifests.storage import File
from tests.ingest.grounding.reading import PHOTO, read_annotated, write_files
from tests.runs import run_recipe

SENTENCES = (
    "[/EN#12/people/other A dog] sits in [/EN#14/scene a field] .\n"
    "[/EN#12/people An animal] with [/EN#13/clothing its hat] , [/EN#0/notvisual something] .\n"
)
BOX = "<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>60</xmax><ymax>40</ymax></bndbox>"
SIZE = "<size><width>100</width><height>50</height><depth>3</depth></size>"
SCENE = "<object><name>14</name><scene>1</scene><nobndbox>0</nobndbox></object>"
SHARED = f"<object><name>12</name><name>13</name>{BOX}</object>"


def xml(*objects: str) -> str:
    return f"<annotation><filename>9.jpg</filename>{SIZE}{''.join(objects)}</annotation>"


def flickr(**settings: Any) -> Flickr30kEntities:
    given = {"name": "a", "path": "Annotations", "media_root": "jpg"} | settings
    return Flickr30kEntities.model_validate(given)


def entities(base: Path, *objects: str, sentences: str | bytes = SENTENCES) -> Path:
    return write_files(base, {
        "Annotations/9.xml": xml(*objects), "Sentences/9.txt": sentences, "jpg/9.jpg": PHOTO,
    })  # fmt: skip


def phrase(start: int, end: int, text: str, entity: str, *types: str) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text, "entity": entity, "types": [*types]}


def test_a_box_of_two_entities_is_an_object_of_each_and_all_sentences_are_kept(
    tmp_path: Path,
) -> None:
    found = read_annotated(flickr(), entities(tmp_path, SHARED, SCENE))
    dog = phrase(0, 5, "A dog", "12", "people", "other")
    again, hat = phrase(0, 9, "An animal", "12", "people"), phrase(15, 22, "its hat", "13",
                                                                  "clothing")  # fmt: skip
    nothing = phrase(25, 34, "something", "0", "notvisual")

    def mention(sentence: int, one: dict[str, Any]) -> dict[str, Any]:
        return {"sentence": sentence} | {k: one[k] for k in ("start", "end", "text")}

    box = {"box": [100, 100, 600, 800]}
    assert found.failures == {}
    assert found.records == {
        "Annotations/9.xml": {
            "image": "jpg/9.jpg",
            "text": ["A dog sits in a field ."],
            "objects": [
                box | {"label": "people", "text": "A dog", "attributes": {
                    "entity": "12", "types": ["people", "other"],
                    "phrases": [mention(0, dog), mention(1, again)]}},
                box | {"label": "clothing", "text": "its hat", "attributes": {
                    "entity": "13", "types": ["clothing"], "phrases": [mention(1, hat)]}},
            ],
            "meta": {
                "filename": "9.jpg",
                "size": {"width": 100, "height": 50, "depth": 3},
                "sentences": [
                    {"text": "A dog sits in a field .",
                     "phrases": [dog, phrase(14, 21, "a field", "14", "scene")]},
                    {"text": "An animal with its hat , something .",
                     "phrases": [again, hat, nothing]},
                ],
                "no_box": [{"entity": "14", "scene": 1, "nobndbox": 0}],
            },
        }
    }  # fmt: skip


@pytest.mark.parametrize("line", SENTENCES.splitlines())
def test_the_place_of_a_phrase_is_that_in_the_sentence_without_marks(line: str) -> None:
    found = parse_sentence(line)
    assert "[" not in found.text
    assert found.phrases
    assert all(found.text[one.start : one.end] == one.text for one in found.phrases)


def test_an_entity_that_no_sentence_has_stays_an_object(tmp_path: Path) -> None:
    found = read_annotated(flickr(), entities(tmp_path, f"<object><name>99</name>{BOX}</object>"))
    [one] = found.records["Annotations/9.xml"]["objects"]
    assert one == {"box": [100, 100, 600, 800],
                   "attributes": {"entity": "99", "types": [], "phrases": []}}  # fmt: skip


def test_sentences_are_read_from_the_given_folder(tmp_path: Path) -> None:
    entities(tmp_path, SHARED)
    (tmp_path / "Sentences").rename(tmp_path / "texts")
    assert read_annotated(flickr(), tmp_path).failures == {"9.xml": ("FileError", (
        "the file with the sentences of this image does not exist: Sentences/9.txt. Set "
        "`sentences` to the folder of these files."))}  # fmt: skip
    assert read_annotated(flickr(sentences="texts"), tmp_path).failures == {}


@pytest.mark.parametrize(("objects", "sentences", "fault"), [
    (["<object><name>1</name></object>"], SENTENCES, "object 0 has no <bndbox>"),
    (["<object><name>1</name><pose>x</pose></object>"], SENTENCES, "object 0 has no <bndbox>"),
    (["<object><name>1</name><robndbox><cx>1</cx></robndbox></object>"], SENTENCES, (
        "object 0 has a <robndbox>")),
    ([f"<object>{BOX}</object>"], SENTENCES, "object 0 has no <name>"),
    ([SHARED], "[/EN#12/people A dog sits", ("the sentence has a malformed phrase mark: "
                                            "'[/EN#12/people")),
    ([SHARED], "[/EN#x/people A dog]", "a malformed phrase mark"),
    ([SHARED], b"\xff", "byte 0 of Sentences/9.txt is not UTF-8"),
    ([SHARED], b" " * (17 << 20), "the file with the sentences of this image has 17825792 bytes"),
])  # fmt: skip
def test_what_is_broken_fails_its_image(
    tmp_path: Path, objects: list[str], sentences: str | bytes, fault: str
) -> None:
    found = read_annotated(flickr(), entities(tmp_path, *objects, sentences=sentences))
    assert found.records == {}
    assert fault in found.failures["9.xml"][1]


def test_files_are_recognised_by_entities_and_read_by_the_command_line(
    tmp_path: Path,
) -> None:
    def sniffed(text: str) -> tuple[bool, bool]:
        head = Head(File("a.xml", "a.xml", len(text), 0), text.encode())
        return Flickr30kEntities.sniff(head), Voc.sniff(head)

    assert sniffed(xml(SCENE)) == (True, False)
    assert sniffed(xml(SHARED)) == (True, True)
    assert sniffed(xml("<object><name>cat</name></object>")) == (False, True)
    entities(tmp_path, SHARED, SCENE)
    source = {"name": "a", "reader": "flickr30k_entities", "path": "Annotations"}
    made = run_recipe(tmp_path, source | {"media_root": "jpg"})
    assert made.accounts["read a"] == (1, 1, {}, {})
