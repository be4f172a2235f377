"""Flickr30k Entities: five captions an image, and boxes of what their phrases mean."""

from __future__ import annotations

import re
from typing import Any, ClassVar, NamedTuple
from xml.etree.ElementTree import Element

from pydantic import Field

from curate.ingest.formats.xml_files import rest_of, text_of
from curate.ingest.grounding.annotations.file_per_image import FilePerImage, SplitCache
from curate.ingest.grounding.annotations.grounding_records import AnnotatedImage, Annotation
from curate.ingest.grounding.voc import annotation, box_of, is_annotation, size_of
from curate.ingest.reader import Context, Head
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

_PHRASE = re.compile(r"\[/EN#(\d+)((?:/[^/\s\]]+)*)\s+([^\[\]]*)\]")
MAX_SENTENCES_BYTES = 1 << 20
"""Larger sentences of one image are none (ours): five have some 500 bytes."""


_ENTITY = re.compile(rb"<nobndbox>|<name>\s*\d+\s*</name>")


class Phrase(NamedTuple):
    """A marked part of a sentence, in characters of it without marks."""

    start: int
    end: int
    text: str
    entity: str
    types: list[str]


class Sentence(NamedTuple):
    """A sentence without marks, and what was marked in it."""

    text: str
    phrases: list[Phrase]


class Flickr30kEntities(FilePerImage):
    """Flickr30k Entities: `Annotations/*.xml`, and `Sentences/*.txt` beside that folder.

    The path names the annotations. A file is a record: its image, below `media_root` by its
    `<filename>`, and the first of its captions as text; all of them, without their marks, are in
    `meta` under `sentences`, each with its phrases: `start` and `end` in characters, `text`,
    `entity` and `types`. Each box of each entity is an object: the label is the entity's type
    (people, clothing, ... ; the first where there are several), the text the first phrase that
    means it, and its attributes are `entity`, `types` and all its `phrases`. A box that several
    entities share is one of each. Entities without a box, being the scene or not to be seen, are
    in `meta` under `no_box`. Corners are pixels counted from 1, as the makers' own code reads
    them. An entity that no sentence has stays an object, with neither label nor text.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    own_space: ClassVar[Space] = SPACES["voc"]

    sentences: str | None = Field(
        None, description="folder of the sentences; null: Sentences, beside that of the annotations"
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return is_annotation(head) and _ENTITY.search(head.data) is not None

    def sample(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        root = annotation(data, file)
        said = self._sentences(file, cache.context)
        annotations, bare = _entities(root, _mentions(said))
        meta = rest_of(root, ("object",)) | {
            "sentences": [
                {"text": one.text, "phrases": [phrase._asdict() for phrase in one.phrases]}
                for one in said
            ],
            "no_box": bare,
        }
        text = said[0].text if said else None
        image = self.image(file, text_of(root, "filename"), cache)
        return AnnotatedImage("", image, annotations, size_of(root), text or None, meta)

    def _sentences(self, file: File, context: Context) -> list[Sentence]:
        folder, _, name = file.uri.rpartition("/")
        beside = "/".join([*folder.split("/")[:-1], "Sentences"])
        uri = f"{self.sentences or beside}/{name.removesuffix('.xml')}.txt"
        place = context.media.resolve(uri)
        found = storage.size_and_stamp(place)
        if found is None:
            raise FileError(
                f"its sentences are not there: {uri}.", file.uri,
                "Set `sentences` to the folder that they lie in.",
            )  # fmt: skip
        if found[0] > MAX_SENTENCES_BYTES:
            raise FileError(f"its sentences have {found[0]} bytes: {uri}.", file.uri)
        try:
            lines = storage.read_bytes(place).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FileError(f"byte {error.start} of {uri} is not UTF-8.", file.uri) from None
        return [unmarked(line.strip()) for line in lines if line.strip()]


def unmarked(line: str) -> Sentence:
    """A sentence out of `[/EN#12/people A child] plays`. RowError where a mark is broken."""
    text, last = "", 0
    phrases: list[Phrase] = []
    for mark in _PHRASE.finditer(line):
        text += line[last : mark.start()]
        entity, types, said = mark.group(1), mark.group(2), mark.group(3)
        phrases.append(
            Phrase(len(text), len(text) + len(said), said, entity, types.split("/")[1:])
        )  # fmt: skip
        text += said
        last = mark.end()
    text += line[last:]
    if "[/EN#" in text:
        raise RowError(f"a mark is broken in {line!r:.200}", fix="Repair the sentence.")
    return Sentence(text, phrases)


def _mentions(said: list[Sentence]) -> dict[str, list[tuple[int, Phrase]]]:
    """The phrases of each entity, with the number of their sentence from 0."""
    found: dict[str, list[tuple[int, Phrase]]] = {}
    for number, sentence in enumerate(said):
        for phrase in sentence.phrases:
            found.setdefault(phrase.entity, []).append((number, phrase))
    return found


def _entities(
    root: Element, mentions: dict[str, list[tuple[int, Phrase]]]
) -> tuple[list[Annotation], list[dict[str, Any]]]:
    """The objects, and the entities that have no box."""
    annotations: list[Annotation] = []
    bare: list[dict[str, Any]] = []
    for number, one in enumerate(root.findall("object")):
        entities = [(name.text or "").strip() for name in one.findall("name")]
        if not all(entities) or not entities:
            raise RowError(f"object {number} has no <name>.", fix="Give it one.")
        rest = rest_of(one, ("name", "bndbox"))
        if one.find("bndbox") is None and rest:
            bare += [{"entity": entity, **rest} for entity in entities]
            continue
        box = box_of(one, f"object {number}")
        annotations += [
            _annotation(entity, box, rest, mentions.get(entity, [])) for entity in entities
        ]  # fmt: skip
    return annotations, bare


def _annotation(
    entity: str, box: list[float], rest: dict[str, Any], said: list[tuple[int, Phrase]]
) -> Annotation:
    first = said[0][1] if said else None
    phrases = [
        {"sentence": n, "start": p.start, "end": p.end, "text": p.text} for n, p in said
    ]  # fmt: skip
    types = first.types if first else []
    attributes = {"entity": entity, "types": types, "phrases": phrases, **rest}
    return Annotation(
        next(iter(types), None), box, text=first.text if first else None, attributes=attributes
    )  # fmt: skip
