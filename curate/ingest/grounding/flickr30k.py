"""Flickr30k Entities: five captions for each image, and boxes for the phrases in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple
from xml.etree.ElementTree import Element

from pydantic import Field

from curate.ingest.formats.xml_files import rest_of, text_of
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.file_per_image import FilePerImage, SplitCache
from curate.ingest.grounding.voc import annotation_root, box_of, is_annotation, size_of
from curate.ingest.reader import Context, Head
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.storage import File

_PHRASE = re.compile(r"\[/EN#(\d+)((?:/[^/\s\]]+)*)\s+([^\[\]]*)\]")
_NO_BOX = ("scene", "nobndbox")
"""The fields of an object that stand in place of its box."""
_ENTITY = re.compile(rb"<nobndbox>|<name>\s*\d+\s*</name>")


class Phrase(NamedTuple):
    """A marked phrase in a sentence, such as `[/EN#12/people A child]`. `start` and `end` are
    character positions in the sentence without marks. `entity` is the number in the mark (`12`),
    and `types` are the types (`people`)."""

    start: int
    end: int
    text: str
    entity: str
    types: list[str]


class Sentence(NamedTuple):
    """A sentence without the marks around its phrases, and the phrases."""

    text: str
    phrases: list[Phrase]


class Flickr30kEntities(FilePerImage):
    """Flickr30k Entities: `Annotations/*.xml`, and `Sentences/*.txt` in the folder beside it.

        Annotations/36979.xml   <object><name>12</name><bndbox>...</bndbox></object>
        Sentences/36979.txt     [/EN#12/people A child] plays with [/EN#13/animals a dog] .

    The setting `path` names the XML files. Each XML file becomes a record: its image is
    `<filename>` below `media_root`, and its text is the first sentence of the file in `Sentences`.
    All sentences, without the marks of phrases such as `[/EN#12/people ...]`, go to `meta` under
    `sentences`, each with its phrases: `start` and `end` in characters, `text`, `entity` and
    `types`.

    An entity is something in the image with a number, such as 12. Each box of each entity becomes
    an object. Its label is the entity's type (people, clothing, ...; the first if there are
    several), its text is the first phrase of the entity, and its attributes are `entity`, `types`
    and all its `phrases`. A box that several entities share becomes several objects, one for each
    entity. An entity that no sentence mentions becomes an object without label and text. Entities
    without a box (`<scene>` or `<nobndbox>`) go to `meta` under `no_box`; an object that has
    neither a box nor one of these fields quarantines the file. Coordinates are pixels numbered from
    1, because the authors' own code reads them so.
    """

    version: ClassVar[int] = 4
    suffixes: ClassVar[tuple[str, ...]] = (".xml",)
    own_space: ClassVar[Space] = SPACES["voc"]

    sentences: str | None = Field(
        None,
        description=(
            "folder of the files with the sentences; null: the folder `Sentences` "
            "beside the folder of the XML files"
        ),
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        return is_annotation(head) and _ENTITY.search(head.data) is not None

    def files_beside(self, files: Sequence[File], base: str) -> list[File]:
        wanted = {self._sentences_uri(file) for file in files}
        folders = sorted({storage.folder_of(uri) for uri in wanted})
        found = (
            File(storage.join(folder, file.name), *file[1:])
            for folder in folders
            for file in storage.list_files(storage.resolve(base, folder))
        )
        return [file for file in found if file.uri in wanted]

    def parse(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        root = annotation_root(data, file)
        sentences = self._sentences(file, cache.context)
        annotations, without_box = _entities(root, _phrases_by_entity(sentences))
        meta = rest_of(root, ("object",)) | {
            "sentences": [
                {"text": one.text, "phrases": [phrase._asdict() for phrase in one.phrases]}
                for one in sentences
            ],
            "no_box": without_box,
        }
        text = sentences[0].text if sentences else None
        image = self.find_image(file, text_of(root, "filename"), cache)
        return AnnotatedImage("", image, annotations, size_of(root), text or None, meta)

    def _sentences_uri(self, file: File) -> str:
        beside = storage.join(storage.folder_of(storage.folder_of(file.uri)), "Sentences")
        name = storage.base_name(file.uri).removesuffix(".xml")
        return storage.join(self.sentences or beside, f"{name}.txt")

    def _sentences(self, file: File, context: Context) -> list[Sentence]:
        uri = self._sentences_uri(file)
        place = context.media.resolve(uri)
        found = storage.size_and_stamp(place)
        if found is None:
            raise FileError(
                f"the file with the sentences of this image does not exist: {uri}.", file.uri,
                "Set `sentences` to the folder of these files.",
            )  # fmt: skip
        limit = context.limits.max_sidecar_bytes
        if found[0] > limit:
            raise FileError(
                f"the file with the sentences of this image has {found[0]} bytes, over the "
                f"limit of {limit}: {uri}.",
                file.uri,
                "Five sentences have about 500 bytes: check whether this is the right file, or "
                "raise media.max_sidecar_bytes.",
            )
        try:
            lines = storage.read_bytes(place).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise FileError(f"byte {error.start} of {uri} is not UTF-8.", file.uri) from None
        return [parse_sentence(line.strip()) for line in lines if line.strip()]


def parse_sentence(line: str) -> Sentence:
    """Parses a line, and removes the marks around its phrases. Raises RowError for a malformed
    mark.

    `[/EN#12/people A child] plays` -> `Sentence("A child plays", [Phrase(0, 7, "A child", "12",
    ["people"])])`
    """
    text, last = "", 0
    phrases: list[Phrase] = []
    for mark in _PHRASE.finditer(line):
        text += line[last : mark.start()]
        entity, types, words = mark.group(1), mark.group(2).split("/")[1:], mark.group(3)
        phrases.append(Phrase(len(text), len(text) + len(words), words, entity, types))
        text += words
        last = mark.end()
    text += line[last:]
    if "[/EN#" in text:
        raise RowError(
            f"the sentence has a malformed phrase mark: {line!r:.200}",
            fix="Correct the mark, which has the form [/EN#12/people A child].",
        )
    return Sentence(text, phrases)


def _phrases_by_entity(sentences: list[Sentence]) -> dict[str, list[tuple[int, Phrase]]]:
    """The phrases of each entity, as pairs (index of the sentence from 0, phrase)."""
    phrases: dict[str, list[tuple[int, Phrase]]] = {}
    for number, sentence in enumerate(sentences):
        for phrase in sentence.phrases:
            phrases.setdefault(phrase.entity, []).append((number, phrase))
    return phrases


def _entities(
    root: Element, phrases: dict[str, list[tuple[int, Phrase]]]
) -> tuple[list[Annotation], list[dict[str, Any]]]:
    """Returns the annotations of the entities with boxes, and the fields of the entities without a
    box. `phrases` has the phrases of each entity by its number."""
    annotations: list[Annotation] = []
    without_box: list[dict[str, Any]] = []
    for number, element in enumerate(root.findall("object")):
        entities = [(name.text or "").strip() for name in element.findall("name")]
        if not all(entities) or not entities:
            raise RowError(
                f"object {number} has no <name>.",
                fix="Add a name, or leave the file in quarantine.",
            )
        rest = rest_of(element, ("name", "bndbox"))
        if element.find("bndbox") is None and not rest.keys().isdisjoint(_NO_BOX):
            without_box += [{"entity": entity, **rest} for entity in entities]
            continue
        box = box_of(element, f"object {number}")
        annotations += [_annotation(one, box, rest, phrases.get(one, [])) for one in entities]
    return annotations, without_box


def _annotation(
    entity: str, box: list[float], rest: dict[str, Any], phrases: list[tuple[int, Phrase]]
) -> Annotation:
    first = phrases[0][1] if phrases else None
    places = [
        {"sentence": number, "start": one.start, "end": one.end, "text": one.text}
        for number, one in phrases
    ]
    types = first.types if first else []
    return Annotation(
        next(iter(types), None),
        box,
        text=first.text if first else None,
        attributes={"entity": entity, "types": types, "phrases": places, **rest},
    )
