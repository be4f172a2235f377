"""RefCOCO, RefCOCO+, RefCOCOg and RefClef: a pickle with a list of refs. A ref is one object of an
image and the sentences that refer to the object."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from curate.ingest.columns import has_text
from curate.ingest.formats.json_elements import ByteRange, elements
from curate.ingest.formats.json_fields import as_object, id_field, text_field
from curate.ingest.formats.json_object import find_arrays
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.categories import read_categories
from curate.ingest.grounding.annotations.coco_layout import ARRAYS, BATCH_IMAGES, size_of
from curate.ingest.grounding.annotations.fields import without
from curate.ingest.grounding.annotations.grounding_reader import GroundingReader, PlacedError
from curate.ingest.grounding.annotations.image_by_path_end import ImageFolder, SharedEnds
from curate.ingest.grounding.coco_instances import coco_annotation
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Count, Head, ReadBatch, Split, existing_files
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.geometry.space import SPACES, Space
from manifests.models.pickles import loads
from manifests.setting_values import Names
from manifests.storage import File


class RefCoco(GroundingReader):
    """RefCOCO, RefCOCO+ and RefCOCOg: `refs(unc).p`, `refs(google).p` or `refs(umd).p`.

        refs(unc).p     [{"ref_id": 1, "ann_id": 70, "image_id": 7, "split": "train",
                          "sentences": [{"sent": "left dog", "raw": "Left dog", "sent_id": 10}]}]
        instances.json  {"images": [...], "annotations": [{"id": 70, ...}], "categories": [...]}

    The refs are a Python pickle; only plain data is read from the pickle, and no code in it is run.
    Refs refer to annotations in `instances.json`, which has COCO's layout. Each image with refs
    becomes a record, and each sentence of each ref becomes an object. The object's text is `sent`
    (or `raw`, if `sent` is blank). The annotation gives the label, the box, the polygon and the
    attributes of the object, by the rules of the reader `coco`. `ref_id`, `ann_id`, `sent_id` and
    `split` become attributes too, and so does `raw` if it is not the object's text. The other
    fields of the image go to `meta`; tokens and proposals are left out.

    The image is `file_name` below `media_root`; leading folders of the path that do not exist are
    removed, unless another image path of the file has the same end. The key of a record is the
    file's name and the image's id. A ref fails (`refs[7]`) if it is malformed, if its annotation or
    image does not exist, if its annotation is on another image, or if another ref, annotation or
    image has the same id. The record of its image is made without this ref, and `curate.lost` in
    the record's `meta` states how many refs are missing.

    The images of all splits, including val, testA and testB, are in COCO's train2014. So a model
    trained on COCO has seen the test images of RefCOCO. The setting `split: [train]` reads only the
    refs of the split train and skips the other refs. The refs of a file and their annotations are
    held in memory.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".p", ".pkl", ".pickle")
    version: ClassVar[int] = 4
    counts_while_reading: ClassVar[bool] = True
    own_space: ClassVar[Space] = SPACES["coco"]

    instances: str | None = Field(
        None,
        description="file of the annotations, in COCO's layout; null: `instances.json` beside "
        "the refs",
    )
    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    split: Names | None = Field(
        None, description="splits to read: train, val, test, testA, testB; null: all"
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        is_pickle = head.data[:1] in (b"\x80", b"(", b"]", b"c")
        return is_pickle and b"ref_id" in head.data and b"sentences" in head.data

    def files_beside(self, files: Sequence[File], base: str) -> list[File]:
        return existing_files([self._instances_uri(file) for file in files], base)

    def count(self, split: Split, context: Context) -> Count:
        """Returns the number of refs. The whole pickle is loaded to count the refs."""
        return Count("elements", len(_load_refs(split, context)))

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file, found = split.files[0], _load_refs(split, context)
        refs, malformed, broken = _refs_by_image(found, self.split)
        left_aside = len(found) - len(malformed) - sum(map(len, refs.values()))
        annotation_ids = {ref.annotation for of_image in refs.values() for ref in of_image}
        targets, errors = _read_targets(self._instances(file, context), annotation_ids, set(refs))
        yield self.failures(file, errors, context, units=0)
        failed = self.failures(file, malformed, context)
        aside = {"ref of another split": left_aside} if left_aside else {}
        yield failed._replace(left_aside=aside, found=Count("elements", len(found)))
        image_folder = ImageFolder(
            root_of(self.media_root, file, context.base), context, SharedEnds(targets.image_paths)
        )
        images = list(refs.items())
        for start in range(0, len(images), BATCH_IMAGES):
            batch = images[start : start + BATCH_IMAGES]
            annotated = [
                one._replace(lost=one.lost + broken[key] + broken[None])
                for key, of_image in batch
                for one in _annotated(key, of_image, targets, image_folder)
            ]
            yield self.records(file, annotated, context)

    def _instances_uri(self, file: File) -> str:
        return self.instances or storage.join(storage.folder_of(file.uri), "instances.json")

    def _instances(self, file: File, context: Context) -> str:
        uri = self._instances_uri(file)
        place = context.media.resolve(uri)
        if storage.size_and_stamp(place) is None:
            fault = "the file does not exist, but the refs refer to annotations in it."
            fix = f"Copy the file to {uri}, or set `instances` to its path."
            raise FileError(fault, uri, fix)
        return place


class _Ref(NamedTuple):
    """A ref: its place in the file (`refs[7]`), the id of its annotation, and its fields."""

    within: str
    annotation: str
    fields: dict[str, Any]


class _Targets(NamedTuple):
    """The annotations and images to which refs refer, by id. The value of an annotation is (id of
    its image, annotation); the value of an image is its fields. A value is an error if the entry is
    malformed or if several entries have the same id."""

    annotations: dict[str, tuple[str, Annotation] | RowError]
    images: dict[str, dict[str, Any] | RowError]

    def image_paths(self) -> Iterator[str]:
        """Yields the path of each image whose entry can be read."""
        for fields in self.images.values():
            if isinstance(fields, dict) and isinstance(path := fields.get("file_name"), str):
                yield path


def _load_refs(split: Split, context: Context) -> list[Any]:
    value = loads(storage.read_bytes(context.media.resolve(split.files[0].uri)))
    if not isinstance(value, list):
        raise FileError(
            f"the pickle contains a {type(value).__name__}, not a list of refs.",
            fix="Remove the file from the source, or download it again.",
        )
    return value


def _refs_by_image(
    refs: list[Any], splits: tuple[str, ...] | None
) -> tuple[dict[str, list[_Ref]], list[PlacedError], Counter[str | None]]:
    """Returns three values: the refs by the id of their image, in order of first occurrence; the
    errors of malformed refs; and the number of malformed refs by the id of their image (the key
    None counts malformed refs whose image id is not known). Only refs whose field `split`, such as
    `train`, is in `splits` are used; if `splits` is None, all refs are used."""
    by_image: dict[str, list[_Ref]] = {}
    errors: list[PlacedError] = []
    broken: Counter[str | None] = Counter()
    repeated = Counter(str(ref.get("ref_id")) for ref in refs if isinstance(ref, dict))
    for number, ref in enumerate(refs):
        within = f"refs[{number}]"
        try:
            if not isinstance(ref, dict):
                raise RowError(f"the ref is {ref!r:.80}, not a JSON object")
            if splits is not None and ref.get("split") not in splits:
                continue
            ids = {n: _json_value(ref, n) for n in ("ref_id", "image_id", "ann_id", "split")}
            key, image, annotation = (id_field(ids, n) for n in ("ref_id", "image_id", "ann_id"))
            if repeated[key] > 1:
                raise RowError(f"{repeated[key]} refs have the ref_id {key}")
            if not isinstance(ref.get("sentences"), list):
                raise RowError(f"the field 'sentences' is {ref.get('sentences')!r:.80}, not a list")
        except RowError as error:
            errors.append((within, error))
            image_id = ref.get("image_id") if isinstance(ref, dict) else None
            broken[None if image_id is None else str(image_id)] += 1
            continue
        by_image.setdefault(image, []).append(_Ref(within, annotation, ref))
    return by_image, errors, broken


def _read_targets(
    place: str, annotation_ids: set[str], image_ids: set[str]
) -> tuple[_Targets, list[PlacedError]]:
    """Reads each array of the file `place` (`instances.json`) once. Returns the annotations and
    images with the given ids, and the errors of categories and of the JSON object."""
    arrays, faults = find_arrays(place, ARRAYS)
    if not set(ARRAYS) <= arrays.keys():
        raise FileError("; ".join(str(error) for _, error in faults), place)
    categories, errors = read_categories(place, arrays["categories"])
    targets = _Targets({}, {})
    for key, entry in _entries(place, arrays["annotations"], annotation_ids):
        try:
            if key in targets.annotations:
                raise RowError(f"two entries of `annotations` have the id {key} in instances.json")
            image = id_field(entry, "image_id")
            targets.annotations[key] = image, coco_annotation(entry, categories)
        except RowError as error:
            targets.annotations[key] = error
    for key, entry in _entries(place, arrays["images"], image_ids):
        repeated = RowError(f"two entries of `images` have the id {key} in instances.json")
        targets.images[key] = repeated if key in targets.images else entry
    return targets, faults + errors


def _entries(place: str, array: ByteRange, ids: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (id, entry) for each entry of an array whose id is in `ids`. Malformed entries are
    skipped; a ref that refers to a skipped entry fails later."""
    for element in elements(place, *array):
        try:
            entry = as_object(element)
            key = id_field(entry, "id")
        except RowError:
            continue
        if key in ids:
            yield key, entry


def _annotated(
    key: str, refs: Sequence[_Ref], targets: _Targets, images: ImageFolder
) -> Iterator[AnnotatedImage]:
    """Yields the errors of the refs and sentences of an image. Then yields the image, whose id is
    `key`, with its annotations, unless all sentences failed.

    Each ref is one unit of the source. The unit belongs to the image if a sentence of the ref could
    be read; otherwise, to the first error of the ref.
    """
    annotations: list[Annotation] = []
    lost = units = 0
    for ref in refs:
        found = list(_annotations(ref, key, targets))
        failed = [(where, one) for where, one in found if isinstance(one, RowError)]
        annotations += [one for _, one in found if not isinstance(one, RowError)]
        is_lost = len(failed) == len(found)
        units, lost = units + (not is_lost), lost + len(failed)
        for number, (within, error) in enumerate(failed):
            yield AnnotatedImage(within, error, units=int(is_lost and number == 0))
    if not annotations:
        return  # each ref already has an error
    fields = targets.images[key]
    assert isinstance(fields, dict)
    try:
        image = images.open(text_field(fields, "file_name"))
        meta = without(fields, "id", "width", "height")
        size = size_of(fields)
        yield AnnotatedImage(key, image, annotations, size, meta=meta, lost=lost, units=units)
    except RowError as error:
        yield AnnotatedImage(key, error, units=units)


def _annotations(
    ref: _Ref, image: str, targets: _Targets
) -> Iterator[tuple[str, Annotation | RowError]]:
    """Yields (place, annotation or error) for each sentence of a ref. If the annotation or image of
    the ref does not exist, yields only one error, for the whole ref."""
    try:
        target = _target(ref, image, targets)
    except RowError as error:
        yield ref.within, error
        return
    for number, sentence in enumerate(ref.fields["sentences"]):
        within = f"{ref.within}.sentences[{number}]"
        try:
            yield within, _with_sentence(target, sentence, ref)
        except RowError as error:
            yield within, error


def _target(ref: _Ref, image: str, targets: _Targets) -> Annotation:
    """Returns the annotation to which a ref refers. Raises RowError if the annotation or its image
    does not exist or is malformed, if the annotation is on another image, or if the ref has no
    sentences."""
    fields = targets.images.get(
        image, RowError(f"the ref's image_id is {image}, but no image has this id")
    )
    missing = RowError(f"the ref's ann_id is {ref.annotation}, but no annotation has this id")
    found = targets.annotations.get(ref.annotation, missing)
    for error in (fields, found):
        if isinstance(error, RowError):
            raise error
    assert isinstance(found, tuple)
    if found[0] != image:
        fault = f"the annotation {ref.annotation} belongs to image {found[0]}, not to {image}"
        raise RowError(fault)
    if not ref.fields["sentences"]:
        raise RowError("the ref has an empty list of sentences")
    return found[1]


def _with_sentence(target: Annotation, sentence: Any, ref: _Ref) -> Annotation:
    """Returns the annotation `target`, to which the ref refers, with a sentence of the ref as its
    text."""
    if not isinstance(sentence, dict):
        raise RowError(f"a sentence is {sentence!r:.80}, not a JSON object")
    given = {name: _json_value(sentence, name) for name in ("sent", "raw", "sent_id")}
    text = next((text for text in (given["sent"], given["raw"]) if has_text(text)), None)
    if not isinstance(text, str):
        raise RowError(f"the sentence has no text: {sentence!r:.80}")
    ids = {name: ref.fields.get(name) for name in ("ref_id", "ann_id", "split")}
    ids["sent_id"] = given["sent_id"]
    raw = {"raw": given["raw"]} if given["raw"] not in (None, text) else {}
    return target._replace(text=text, attributes=ids | raw | without(target.attributes or {}, "id"))


def _json_value(holder: dict[str, Any], name: str) -> str | int | None:
    """Returns the value of a field that a JSON file can contain: valid text, an integer of up to 63
    bits, or None. Raises RowError if the field has another value, as is possible in a pickle."""
    value = holder.get(name)
    if isinstance(value, str):
        with contextlib.suppress(UnicodeEncodeError):  # half of a surrogate pair
            value.encode()
            return value
    if value is None or (isinstance(value, int) and value.bit_length() < 64):
        return value
    raise RowError(f"the field {name!r} is {value!r:.80}, neither text nor a whole number")
