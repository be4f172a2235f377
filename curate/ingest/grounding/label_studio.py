"""Label Studio's export `JSON`: tasks with an image and the regions that people drew on it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field

from curate.ingest.formats.nested_tables import column_names, row_batches
from curate.ingest.formats.text_tables import JSON_SUFFIXES
from curate.ingest.grounding.annotations.annotated_table import AnnotatedTable
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.fields import number_in, without
from curate.ingest.grounding.annotations.image_by_path_end import ImageFolder, SharedEnds
from curate.ingest.grounding.annotations.label_studio_regions import (
    Result,
    Size,
    group_results,
    is_plain,
    region,
    texts_of,
    values_by_name,
)
from curate.ingest.media_root import ROOT_DESCRIPTION, root_of
from curate.ingest.reader import Context, Head, ReadBatch, Split
from manifests.errors import RowError
from manifests.geometry.space import SPACES, Space

_LISTS = ("annotations", "completions")
"""The key of a task's annotations, and the key that old versions of Label Studio write instead."""
_NOT_READ = (*_LISTS, "predictions", "drafts")
_CHOICES = {
    "ground_truth": (
        "are marked as ground truth",
        "Mark exactly one annotation of the task as ground truth.",
    ),
    "latest": (
        "have the latest date",
        "Delete all annotations of the task with this date except one.",
    ),
}
"""For each value of the setting `annotation`, the words for chosen annotations in the error for a
task with no or several chosen annotations, and the fix."""
UNFINISHED, SKIPPED = "task without annotation", "skipped task"
"""Kinds of tasks that are left aside."""


class LabelStudio(AnnotatedTable):
    """Label Studio's export `JSON` (not `JSON-MIN`): tasks, each with an image and its regions.

        [{"id": 1, "data": {"image": "/data/upload/1/7f3a-a.jpg"}, "annotations": [{"result": [
          {"id": "x1", "type": "rectanglelabels", "original_width": 640, "original_height": 480,
           "value": {"x": 10, "y": 10, "width": 20, "height": 5, "rotation": 0,
                     "rectanglelabels": ["dog"]}}]}]}]

    Each task becomes a record. Its image is the file below `media_root` at the path in `data`. If
    `data` has a url, the path of the url is used or, if the url has the parameter `d`, the value of
    this parameter: `/data/local-files/?d=img/a.jpg` -> `img/a.jpg`. Leading folders of the path
    that do not exist are removed, unless the paths of two images in the export would then be equal.

    Results with the same id describe one region, which becomes an object. A rectangle becomes a
    box; a rotated rectangle becomes a ring of four points and the box around the ring. A polygon
    becomes a ring, a key point becomes a point, and an ellipse becomes the box around the ellipse.
    A brush becomes a box and a run-length mask in the attribute `rle` (which the step `masks`
    reads). The text of a region becomes the text of its object. If the region has several texts,
    they become the attribute `results`, by their `from_name`, and so do choices and numbers of the
    region. Its other fields become attributes.

    A text that is about the whole image becomes the caption if there is only one such text; if
    there are several, the setting `text` names one. Texts, choices and numbers about the whole
    image go to `meta` under `results`, and relations go to `meta` under `relations`. The other
    fields of the task go to `meta` too. Predictions and drafts are not read.

    A task without an annotation, or that the annotator skipped, is left aside: it is counted, but
    becomes neither a record nor an error. A task with several annotations is quarantined, unless
    the setting `annotation` chooses one of them. A region that is
    malformed, that has several labels, or whose type is not supported becomes a failure, and the
    record is made without this region; `curate.lost` in the record's `meta` states how many regions
    are missing. The key of a record is the file's name and the number of the task, from 0, or of
    the line, from 1.
    """

    version: ClassVar[int] = 2
    suffixes: ClassVar[tuple[str, ...]] = JSON_SUFFIXES
    own_space: ClassVar[Space] = SPACES["percent"]

    media_root: str | None = Field(None, description=ROOT_DESCRIPTION)
    image: str | None = Field(
        None,
        description=(
            "field of `data` with the path of the image; null: `image`, or else "
            "the only field with text"
        ),
    )
    text: str | None = Field(
        None,
        description=(
            "`from_name` of the results whose text becomes the caption; null: "
            "the only text of the image"
        ),
    )
    annotation: Literal["ground_truth", "latest"] | None = Field(
        None,
        description="annotation of a task that has several: the one that is marked as ground "
        "truth, or the one with the latest date; null: such a task is quarantined",
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        names = column_names(head)
        return "data" in names and not names.isdisjoint(_LISTS)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        root = root_of(self.media_root, file, context.base)
        key = (LabelStudio, context.base, file, self.image)
        shared = SharedEnds(lambda: self._paths(split, context), key)
        folder = ImageFolder(root, context, shared)
        for batch in row_batches(split, context):
            images = [AnnotatedImage(number, error) for number, error in batch.broken]
            aside: Counter[str] = Counter()
            for number, task in zip(batch.numbers, batch.rows, strict=True):
                kind = _unfinished(task)
                if kind is not None:
                    aside[kind] += 1
                    continue
                try:
                    images += self._images(number, task, folder)
                except RowError as error:
                    images.append(AnnotatedImage(number, error))
            yield self.records(file, images, context)._replace(left_aside=dict(aside))

    def _paths(self, split: Split, context: Context) -> Iterator[str]:
        """Yields the path of the image of each task in the whole file, not only of the tasks in the
        split. Tasks that cannot be read are skipped."""
        for batch in row_batches(Split(split.files[:1]), context):
            for task in batch.rows:
                with contextlib.suppress(RowError):
                    yield self._path(task)

    def _path(self, task: dict[str, Any]) -> str:
        data = task.get("data")
        if not isinstance(data, dict):
            raise RowError(f"'data' is {data!r:.80}, not a JSON object")
        texts = [name for name, value in data.items() if isinstance(value, str)]
        usual = "image" if "image" in data else texts[0] if len(texts) == 1 else None
        name = self.image or usual
        if name is None or not isinstance(data.get(name), str):
            fault = f"'data' has no text {name or 'image'!r}; its fields are {', '.join(data)}."
            raise RowError(fault, fix="Set `image` to the field of the image.")
        return _plain_path(data[name])

    def _images(
        self, number: int, task: dict[str, Any], folder: ImageFolder
    ) -> list[AnnotatedImage]:
        """Returns the annotated image of a task, then a failure for each region of the task that
        cannot be read."""
        image = folder.open(self._path(task))
        groups = group_results(self._chosen(_finished(task)).get("result"))
        relations = [one for group in groups for one in group if one["type"] == "relation"]
        groups = [group for group in groups if group[0]["type"] != "relation"]
        sizes = _sizes(groups)
        objects: list[Annotation] = []
        failed: list[AnnotatedImage] = []
        for at, group in enumerate(group for group in groups if not is_plain(group)):
            try:
                objects.append(region(group, lambda: self._size(sizes, folder.context)))
            except RowError as error:
                fault = f"region {at}, a {group[0]['type']!r:.40}: {error.fault}"
                failed.append(
                    AnnotatedImage(
                        f"{number}.region[{at}]", RowError(fault, fix=error.fix), units=0
                    )
                )
        meta = without(task, *_NOT_READ)
        results = values_by_name(one for group in groups if is_plain(group) for one in group)
        meta |= {"results": results} if results else {}
        meta |= {"relations": relations} if relations else {}
        size = sizes[0] if sizes else None
        text = self._caption(groups)
        own = AnnotatedImage(number, image, objects, size, text, meta, lost=len(failed))
        return [own, *failed]

    def _chosen(self, finished: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Returns the annotation of a task. If the task has several annotations, the setting
        `annotation` chooses one of them. Raises RowError if the setting does not choose exactly one
        annotation."""
        if len(finished) == 1:
            return finished[0]
        if self.annotation == "ground_truth":
            found = [one for one in finished if one.get("ground_truth") is True]
        elif self.annotation == "latest":
            last = max(_date(one) for one in finished)
            if not last:
                raise RowError(
                    f"none of the {len(finished)} annotations of the task has a date, so the "
                    "latest is not known.",
                    fix="Set `annotation` to ground_truth, or delete all annotations except one.",
                )
            found = [one for one in finished if _date(one) == last]
        else:
            raise RowError(
                f"the task has {len(finished)} annotations, so it is not known which of them is "
                "right.",
                fix="Set `annotation` to ground_truth or latest.",
            )
        if len(found) != 1:
            state, fix = _CHOICES[self.annotation]
            raise RowError(
                f"{len(found)} of the {len(finished)} annotations of the task {state}; exactly one "
                "is needed.",
                fix=fix,
            )
        return found[0]

    def _size(self, sizes: Sequence[Size], context: Context) -> Size:
        """Returns the size in pixels of the image of a task. A rotated shape or a mask cannot be
        converted without this size. `sizes` is the result of `_sizes`. Raises RowError if the size
        is missing, not certain, or over the limit."""
        if not sizes:
            raise RowError(
                "the size of the image is needed for this region, but the fields original_width "
                "and original_height are missing.",
                fix="Export the project again as `JSON`, which has these fields.",
            )
        if self.turned_sizes:
            raise RowError(
                "the size of the image is needed for this region, but the size is not certain, "
                "because `turned_sizes` is true, which accepts sizes with width and height "
                "swapped.",
                fix="Remove `turned_sizes`, or leave the region in quarantine.",
            )
        if sizes[0].width * sizes[0].height > context.limits.max_pixels:
            raise RowError(
                f"the region states an image size of {sizes[0].width:g} x {sizes[0].height:g} "
                f"pixels, over the limit of {context.limits.max_pixels} pixels.",
                fix="Raise media.max_pixels, or leave the region in quarantine.",
            )
        return sizes[0]

    def _caption(self, groups: Sequence[Sequence[Result]]) -> str | None:
        texts = [
            text
            for group in groups
            for one in group
            if is_plain(group) and one["type"] == "textarea"
            if self.text in (None, one.get("from_name"))
            for text in texts_of(one)
        ]
        return texts[0] if len(texts) == 1 else None


def _given(task: dict[str, Any]) -> Any:
    return next((task[name] for name in _LISTS if task.get(name) is not None), [])


def _finished(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the annotations of a task, except annotations that the annotator skipped
    (`was_cancelled`). Raises RowError if the list of annotations is malformed."""
    given = _given(task)
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise RowError(f"'annotations' is {given!r:.80}, not a list of objects")
    return [one for one in given if not one.get("was_cancelled")]


def _unfinished(task: dict[str, Any]) -> str | None:
    """Returns the reason for which a task is left aside: `skipped task`, or `task without
    annotation` if nobody has annotated the task. Returns None for a task with an annotation, and
    for a malformed task."""
    given = _given(task)
    with contextlib.suppress(RowError):
        if not _finished(task):
            return SKIPPED if given else UNFINISHED
    return None


def _sizes(groups: Sequence[Sequence[Result]]) -> list[Size]:
    """Returns a list with the size of the image that the regions of a task state; an empty list if
    no region states a size. Raises RowError if the regions state different sizes."""
    found: dict[tuple[float, float], Size] = {}
    for one in (one for group in groups for one in group):
        given = one.get("original_width"), one.get("original_height")
        if given == (None, None):
            continue
        width, height = (number_in(side) or 0.0 for side in given)
        if min(width, height) < 1:
            raise RowError(
                f"original_width and original_height are {given[0]!r:.40} and {given[1]!r:.40}, "
                "not two numbers of 1 or more.",
                fix="Write the size of the image in pixels.",
            )
        found[width, height] = Size(int(width), int(height))
    if len(found) > 1:
        sizes = " and ".join(f"{width:g} x {height:g}" for width, height in found)
        raise RowError(
            "the regions of the task state different image sizes in original_width and "
            f"original_height: {sizes}. They must be equal.",
            fix="Write the size of the task's image in all its regions, or delete the regions that "
            "were drawn on another image.",
        )
    return list(found.values())


def _date(annotation: dict[str, Any]) -> str:
    return str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _plain_path(url: str) -> str:
    """Converts the url of an image to a path below `media_root`:
    `/data/local-files/?d=img/a%20b.jpg` -> `img/a b.jpg`, `/data/upload/1/a.jpg` ->
    `data/upload/1/a.jpg`."""
    if url.startswith("data:"):
        raise RowError(
            "the image is stored inside the task as a `data:` url, but this reader "
            "reads only image files.",
            fix="Write the image to a file below media_root, and its path into the task.",
        )
    parts = urlsplit(url)
    local = parse_qs(parts.query).get("d")
    if local:
        return local[0].lstrip("/")
    if parts.scheme in ("http", "https", "s3", "gs", "azure-blob") or url.startswith("/data/"):
        return unquote(parts.path).lstrip("/")
    return url
