"""The base class of grounding readers: their common settings, and the way they make records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import pyarrow as pa
from pydantic import Field

from curate.ingest.evidence import Findings, total
from curate.ingest.grounding.annotations.annotation import AnnotatedImage
from curate.ingest.grounding.annotations.grounding_records import check_spaces, grounding_records
from curate.ingest.reader import Context, ReadBatch, Reader
from manifests.errors import RowError
from manifests.geometry.space import Space, SpaceSetting
from manifests.storage import File

SpaceOverride = Annotated[
    SpaceSetting | None,
    Field(
        description=(
            "coordinate space: the order and unit of the coordinates, such as `xyxy "
            "pixel`; null: the space that the format defines"
        )
    ),
]
TrustSetting = Annotated[
    bool,
    Field(
        description="true: do not check whether the coordinates fit the coordinate space; a "
        "coordinate that is not finite or far outside the image, and a box in reverse order, are "
        "still quarantined"
    ),
]
TurnedSizes = Annotated[
    bool,
    Field(
        description="true: accept a stated size whose width and height are swapped by the "
        "Exif rotation; the coordinates still refer to the image that `space` "
        "names, as stored or as shown"
    ),
]
PlacedError = tuple[str, RowError]
"""A place in a file, such as `annotations[7]`, and the error of the input there."""


class GroundingReader(Reader):
    """A reader of images with annotated objects."""

    modalities: ClassVar[tuple[str, ...]] = ("grounding",)
    own_space: ClassVar[Space | None] = None
    """The coordinate space of the format; None if the format defines none, so that the setting
    `space` is required."""

    space: SpaceOverride = None
    trust: TrustSetting = False
    turned_sizes: TurnedSizes = False

    def records(
        self,
        file: File,
        images: Sequence[AnnotatedImage],
        context: Context,
        space: Space | None = None,
    ) -> ReadBatch:
        """Makes the records of a batch. There are four places for the coordinate space of an image,
        and the first that has a space is used: the setting `space`, the image's own `space`, the
        argument `space`, the space of the format (`own_space`)."""
        default = self.space or space or self.own_space
        if self.space is not None or not any(image.space for image in images):
            return self._records(file, images, context, default)
        by_space: dict[Space | None, list[AnnotatedImage]] = {}
        for image in images:
            by_space.setdefault(image.space or default, []).append(image)
        return _joined([self._records(file, own, context, one) for one, own in by_space.items()])

    def _records(
        self, file: File, images: Sequence[AnnotatedImage], context: Context, space: Space | None
    ) -> ReadBatch:
        assert space is not None, f"{type(self).__name__} has no space"
        return grounding_records(self, file, images, space, context, self.trust, self.turned_sizes)

    def check_evidence(self, evidence: Findings) -> None:
        check_spaces(evidence, self.path)

    def failures(
        self, file: File, errors: Sequence[PlacedError], context: Context, units: int = 1
    ) -> ReadBatch:
        """Returns a batch without records, with a failure for each error that belongs to no image.
        `units` is the number of units (lines, rows, elements, ...) for which each failure stands;
        it is 0 if the inputs with the errors are not among the units that `count` counts."""
        images = [AnnotatedImage(*error, units=units) for error in errors]
        return self.records(file, images, context)


def _joined(batches: Sequence[ReadBatch]) -> ReadBatch:
    return ReadBatch(
        pa.concat_tables([batch.records for batch in batches]),
        [failure for batch in batches for failure in batch.failures],
        units=sum(batch.units or 0 for batch in batches),
        evidence=total([batch.evidence for batch in batches]),
    )
