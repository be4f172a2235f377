"""The step `near`: drops, or keeps, the records that are near an example."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests import storage
from manifests.errors import InputError, StepError
from manifests.examples.embedded import (
    EmbeddedItems,
    ItemEmbedder,
    checked_embedder,
    nothing_embedded,
)
from manifests.examples.files import ItemFiles
from manifests.examples.items import Item, check_images, files_used, items_of
from manifests.setting_values import Names
from manifests.step import (
    Bound,
    Columns,
    Context,
    Location,
    Resources,
    RowStep,
    Step,
    Worker,
    reasons,
)
from manifests.vectors.nearest import nearest
from manifests.vectors.units import dimensions_of, present_units, units_of


class Near(RowStep):
    """Drop, or keep, the records that are near one of some example images or texts.

    `examples` is a file, a folder or a glob: images, `.txt` files with a text on each line, or
    tables (JSON lines, JSON arrays, Parquet, CSV, TSV). In tables, `text` or `image` names the
    fields that have the examples. The examples are embedded by the step that makes the column `of`,
    with its model, so nothing about the model is stated twice. If that step is not a row step (such
    as `embed_patches` or `embed_endpoint`), `embedding` names a field of the table that has the
    vectors of the examples.

    `cosine` is the cosine of the record's vector and the vector of the nearest example, and
    `example` names this example: the file name of an image, the file name and number of a text
    (`bad.txt#3`), or the value of the field `id`. If examples are equally near, the first is named.
    With `action: drop`, records with a cosine of at least `min` are dropped, and a record without a
    vector stays; with `action: keep`, only records with a cosine of at least `min` stay.

    An example that cannot be read or decoded stops the run before it starts. Every worker embeds
    the examples once.
    """

    version: ClassVar[int] = 1
    costs: ClassVar[bool] = True

    examples: Annotated[str, Location()] = Field(
        description="file, folder or glob of example images, texts or tables"
    )
    of: str = Field("embed.vector", description="column of the records' vectors")
    min: Annotated[float, Bound(), Field(ge=-1, le=1)] = Field(
        0.9, description="lowest cosine of a record that is near (our choice)"
    )
    action: Annotated[Literal["drop", "keep"], Bound()] = Field(
        "drop", description="what is done with records that are near"
    )
    text: Names = Field((), description="fields of a table that have texts")
    image: Names = Field((), description="fields of a table that have images")
    embedding: str | None = Field(
        None, description="field of a table that has the vector; null: the examples are embedded"
    )
    id: str | None = Field(None, description="field of a table that has the name of the example")

    def made_by(self) -> str | None:
        return self.of if self.embedding is None else None

    def with_maker(self, maker: Step) -> Self:
        return super().with_maker(checked_embedder(maker))

    def resources(self) -> Resources:
        return Resources() if self.maker is None else self.maker.resources()

    def reads(self) -> tuple[str, ...]:
        return (self.of,)

    def measures(self) -> dict[str, pa.DataType]:
        return {"cosine": pa.float32(), "example": pa.string()}

    def _files(self) -> ItemFiles:
        own = self.model_dump(include={"text", "image", "embedding", "id"})
        return ItemFiles(path=self.examples, **own)

    def files(self, base: str) -> tuple[str, ...]:
        return tuple(files_used(self._files(), storage.resolve(base, self.examples)))

    def notes(self, base: str) -> tuple[str, ...]:
        """Returns the number of examples. Raises InputError for an example that cannot be read."""
        place = storage.resolve(base, self.examples)
        images = self.maker is not None and "media" in self.maker.reads()
        items = items_of(self._files(), place)
        count = sum(1 for _ in (check_images(items) if images else items))
        return (f"{count:,} example{'' if count == 1 else 's'}",)

    def load(self, worker: Worker) -> Examples:
        """Reads and embeds the examples."""
        place = storage.resolve(worker.base, self.examples)
        names: list[str] = []
        given: list[list[float]] = []
        embedder = None
        if self.embedding is None:
            assert isinstance(self.maker, RowStep)
            embedder = ItemEmbedder(self.maker, self.of.partition(".")[2], worker)
        for number, item in enumerate(items_of(self._files(), place)):
            names.append(item.id)
            if embedder is None:
                given.append(_vector(item, given))
            else:
                embedder.add(number, item)
        if embedder is None:
            every = np.arange(len(given), dtype=np.int32)
            return Examples(names, EmbeddedItems(units_of(np.array(given, np.float64)), every))
        found = embedder.finish()
        if not found.units.rows:
            assert self.maker is not None
            raise nothing_embedded("examples", self.of, self.maker.reads(), place)
        return Examples(names, found)

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        names, known = context.model
        cosine = np.full(batch.num_rows, np.nan, np.float32)
        item = np.full(batch.num_rows, -1, np.int32)
        width = dimensions_of(batch[self.of], "of")
        if width is not None:
            if width != known.units.vectors.shape[1]:
                raise StepError(
                    f"the vectors of the examples have {known.units.vectors.shape[1]} values, and "
                    f"those of the records {width}", "the setting 'embedding'",
                    "Embed the examples with the model of the records.",
                )  # fmt: skip
            present = present_units(batch[self.of], width)
            found = nearest(present.units, known.units)
            cosine[present.rows], item[present.rows] = found.cosine, known.items[found.at]
        missing = item < 0
        example = pa.array(names, pa.string()).take(pa.array(item, mask=missing))
        return {"cosine": pa.array(cosine, mask=missing), "example": example}

    def decide(self, measured: pa.Table) -> pa.Array:
        near = pc.greater_equal(measured["cosine"], pa.scalar(self.min, pa.float32()))
        if self.action == "drop":
            return reasons(measured.num_rows, (near, "near an example"))
        far = pc.invert(near.fill_null(False))
        missing = measured["cosine"].is_null()
        return reasons(measured.num_rows, (missing, "no vector"), (far, "not near an example"))


class Examples(NamedTuple):
    """The names of all examples, and their vectors."""

    names: list[str]
    embedded: EmbeddedItems


def _vector(item: Item, others: list[list[float]]) -> list[float]:
    if item.embedding is None or (others and len(item.embedding) != len(others[0])):
        fault = "no vector" if item.embedding is None else "a vector of another length"
        raise InputError(f"examples: this item has {fault}.", item.place, "Correct the table.")
    return item.embedding
