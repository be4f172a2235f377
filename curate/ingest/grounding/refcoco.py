"""Referring expressions: the pickled refs of RefCOCO, RefCOCO+ and RefCOCOg, and RefClef's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from curate.ingest.columns import Names, has_text
from curate.ingest.formats.json_elements import ByteRange, elements
from curate.ingest.formats.json_fields import as_object, id_field, text_field
from curate.ingest.formats.json_object import find_arrays
from curate.ingest.grounding.annotations.annotations_by_image import Fault, names_by_id
from curate.ingest.grounding.annotations.coco_layout import ARRAYS, BATCH_IMAGES, size_of
from curate.ingest.grounding.annotations.grounding_records import (
    AnnotatedImage,
    Annotation,
    SpaceOverride,
    TrustSetting,
    grounding_records,
)
from curate.ingest.grounding.annotations.image_by_path_end import image_by_path_end
from curate.ingest.grounding.coco_instances import annotation_of
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES
from manifests.models.pickles import loads
from manifests.storage import File


class RefCoco(Reader):
    """RefCOCO, RefCOCO+ and RefCOCOg: `refs(unc).p`, `refs(google).p` or `refs(umd).p`.

    The file is a Python pickle; only plain data is read out of it, and nothing in it is run. What
    its refs refer to lies in `instances.json`, COCO's layout. An image that refs refer to is a
    record; each sentence of each ref is an object: its `sent` (or `raw`, where that is blank) is
    the text, label, box, polygon and attributes are those of the annotation as `coco` reads it,
    and `ref_id`, `ann_id`, `sent_id`, `split` and a `raw` that differs are attributes too. The
    other fields of the image go to `meta`; tokens and proposals are left out. Images are found
    below `media_root` as `coco` finds them. A record's key is the file's name and the image's id.
    A ref without its annotation or image, or with an id that came before, fails (`refs[7]`).

    The images of every split, val, testA and testB too, are COCO's train2014: training on
    those of COCO shows a model what RefCOCO tests it on. `split: [train]` reads one part; the
    refs of others are left alone. Memory holds the refs of a file and their annotations.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".p", ".pkl", ".pickle")
    modality: ClassVar[str] = "grounding"

    instances: str | None = Field(
        None, description="file of what refs refer to; null: `instances.json` beside the refs"
    )
    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    split: Names | None = Field(
        None, description="only refs of these: train, val, test, testA, testB; null: all"
    )
    space: SpaceOverride = None
    trust: TrustSetting = False

    @classmethod
    def sniff(cls, head: Head) -> bool:
        starts = head.data[:1] in (b"\x80", b"(", b"]", b"c")
        return starts and b"ref_id" in head.data and b"sentences" in head.data

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, place = split.files[0], context.media.resolve(split.files[0].uri)
        by_image, broken = _by_image(_refs(storage.read_bytes(place)), self.split)
        instances = self._instances(file, context)
        wanted = {ref.annotation for refs in by_image.values() for ref in refs}
        referred, faults = _referred(instances, wanted, set(by_image))
        yield self._found(file, [AnnotatedImage(*fault) for fault in broken + faults], context)
        root = root_of(self.media_root, file, context.base)
        images = list(by_image.items())
        for start in range(0, len(images), BATCH_IMAGES):
            batch = images[start : start + BATCH_IMAGES]
            samples = [s for pair in batch for s in _samples(*pair, referred, root, context)]
            yield self._found(file, samples, context)

    def _instances(self, file: File, context: Context) -> str:
        uri = self.instances or storage.join(root_of(None, file, context.base), "instances.json")
        place = context.media.resolve(uri)
        if storage.size_and_stamp(place) is None:
            told = "there is no such file, which says what the refs refer to."
            raise FileError(told, uri, "Bring it there, or set `instances`.")
        return place

    def _found(self, file: File, samples: Sequence[AnnotatedImage], context: Context) -> ReadBatch:
        space = self.space or SPACES["coco"]
        return grounding_records(self, file, samples, space, context, self.trust)


class _Ref(NamedTuple):
    """A ref, its place in the file, and the annotation that it refers to."""

    within: str
    annotation: str
    said: dict[str, Any]


class _Referred(NamedTuple):
    """Of what refs refer to: objects by the id of their annotation, with that of their image, and
    images by id. An error stands for what is broken, or there twice."""

    annotations: dict[str, tuple[str, Annotation] | RowError]
    images: dict[str, dict[str, Any] | RowError]


def _refs(data: bytes) -> list[Any]:
    value = loads(data)
    if not isinstance(value, list):
        raise FileError(f"a pickle of a {type(value).__name__}, not of a list of refs.")
    return value


def _by_image(
    refs: list[Any], splits: tuple[str, ...] | None
) -> tuple[dict[str, list[_Ref]], list[Fault]]:
    """Refs by the id of their image, in the order in which those come first."""
    found: dict[str, list[_Ref]] = {}
    broken: list[Fault] = []
    seen: set[str] = set()
    for number, ref in enumerate(refs):
        within = f"refs[{number}]"
        try:
            if not isinstance(ref, dict):
                raise RowError(f"{ref!r:.80} is no ref")
            if splits is not None and ref.get("split") not in splits:
                continue
            told = {n: _plain(ref, n) for n in ("ref_id", "image_id", "ann_id", "split")}
            key, image, annotation = (id_field(told, n) for n in ("ref_id", "image_id", "ann_id"))
            if key in seen:
                raise RowError(f"the ref_id {key} comes a second time")
            seen.add(key)
            if not isinstance(ref.get("sentences"), list):
                raise RowError(f"'sentences' is {ref.get('sentences')!r:.80}, not a list")
        except RowError as error:
            broken.append((within, error))
            continue
        found.setdefault(image, []).append(_Ref(within, annotation, ref))
    return found, broken


def _referred(place: str, wanted: set[str], images: set[str]) -> tuple[_Referred, list[Fault]]:
    """One pass over the instances for those annotations and images."""
    stretches, faults = find_arrays(place, ARRAYS)
    if not set(ARRAYS) <= stretches.keys():
        raise FileError("; ".join(str(error) for _, error in faults), place)
    names, broken = names_by_id(place, stretches["categories"])
    found = _Referred({}, {})
    for key, annotation in _those(place, stretches["annotations"], wanted):
        try:
            if key in found.annotations:
                raise RowError(f"two annotations have the id {key}")
            found.annotations[key] = (
                id_field(annotation, "image_id"),
                annotation_of(annotation, names),
            )
        except RowError as error:
            found.annotations[key] = error
    for key, image in _those(place, stretches["images"], images):
        twice = RowError(f"two images have the id {key}")
        found.images[key] = twice if key in found.images else image
    return found, broken


def _those(place: str, array: ByteRange, wanted: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The elements with those ids; what is broken among the others is no ref's business."""
    for element in elements(place, *array):
        try:
            entry = as_object(element)
            key = id_field(entry, "id")
        except RowError:
            continue
        if key in wanted:
            yield key, entry


def _samples(
    key: str, refs: Sequence[_Ref], referred: _Referred, root: str, context: Context
) -> Iterator[AnnotatedImage]:
    """The record of an image, and the refs and sentences that did not get into it."""
    annotations: list[Annotation] = []
    for ref in refs:
        for within, annotation in _annotations(ref, key, referred):
            if isinstance(annotation, RowError):
                yield AnnotatedImage(within, annotation)
            else:
                annotations.append(annotation)
    if not annotations:
        return  # each ref has said why
    image = referred.images[key]
    assert isinstance(image, dict)
    try:
        opened = image_by_path_end(root, text_field(image, "file_name"), context.media)
        meta = {k: v for k, v in image.items() if k not in ("id", "width", "height")}
        yield AnnotatedImage(key, opened, annotations, size_of(image), meta=meta)
    except RowError as error:
        yield AnnotatedImage(key, error)


def _annotations(
    ref: _Ref, image: str, referred: _Referred
) -> Iterator[tuple[str, Annotation | RowError]]:
    """An object for each sentence of a ref, with the place of each."""
    there = referred.images.get(image, RowError(f"no image has the id {image}"))
    found = referred.annotations.get(
        ref.annotation, RowError(f"no annotation has the id {ref.annotation}")
    )
    for fault in (there, found):
        if isinstance(fault, RowError):
            yield ref.within, fault
            return
    assert isinstance(found, tuple)
    if found[0] != image:
        told = f"its annotation {ref.annotation} is of image {found[0]}, not of {image}"
        yield ref.within, RowError(told)
        return
    if not ref.said["sentences"]:
        yield ref.within, RowError("it has no sentence")
    for number, sentence in enumerate(ref.said["sentences"]):
        yield f"{ref.within}.sentences[{number}]", _said(sentence, ref, found[1])


def _said(sentence: Any, ref: _Ref, annotation: Annotation) -> Annotation | RowError:
    try:
        if not isinstance(sentence, dict):
            raise RowError(f"{sentence!r:.80} is no sentence")
        said = {name: _plain(sentence, name) for name in ("sent", "raw", "sent_id")}
    except RowError as error:
        return error
    text = next((t for t in (said["sent"], said["raw"]) if has_text(t)), None)
    if not isinstance(text, str):
        return RowError(f"the sentence says nothing: {sentence!r:.80}")
    rest = {k: v for k, v in (annotation.attributes or {}).items() if k != "id"}
    told = {name: ref.said.get(name) for name in ("ref_id", "ann_id", "split")}
    told["sent_id"] = said["sent_id"]
    differs = {"raw": said["raw"]} if said["raw"] not in (None, text) else {}
    return annotation._replace(text=text, attributes=told | differs | rest)


def _plain(holder: dict[str, Any], name: str) -> str | int | None:
    """A field as JSON can hold it; a pickle may have anything there."""
    value = holder.get(name)
    if isinstance(value, str):
        with contextlib.suppress(UnicodeEncodeError):  # half of a character in two parts
            value.encode()
            return value
    if value is None or (isinstance(value, int) and value.bit_length() < 64):
        return value
    raise RowError(f"{name!r} is {value!r:.80}, neither text nor a number")
