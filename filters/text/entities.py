"""The step `entities`: finds the entities of a table in the texts of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt

from filters.text.entity_tables.entity import Fields, entities_of, files_of
from manifests import storage
from manifests.record import one_chunk, texts
from manifests.step import Bound, Columns, Context, Location, RowStep, Worker, reasons

if TYPE_CHECKING:
    from filters.text.entity_tables.finder import Finder


class Entities(RowStep):
    """Find the entities of a table in the text of each record.

    The table is CSV, TSV, Parquet or JSON lines. Each row is an entity: its name, and optionally an
    id, aliases, a category, a prominence and a language. A .txt file has a name on each line.
    Aliases are a list, or text with | between them. Without an id, the name is the id. An entity
    with a language is only found in records of that language.

    A name or an alias is found if the text has its words and signs in the same order, with at most
    whitespace between them; case is ignored, and an accent may be part of its letter or a
    combining character after it. Part of a word is no match: `cat` is found in "A cat's
    bowl", but not in "cats". In scripts without spaces, each character is a word. Names that
    overlap are all found: "New York" and "York". `ids`, `names`, `categories` and `prominences` are
    lists of the record's entities, each entity once, in the order in which they begin in the text.
    """

    table: Annotated[str, Location()] = Field(description="file, folder or glob of the table")
    name: str = Field("name", description="field of the name")
    id: str | None = Field(None, description="field of the id; null: the name is the id")
    aliases: str | None = Field(None, description="field of the aliases; null: no aliases")
    category: str | None = Field(None, description="field of the category; null: no category")
    prominence: str | None = Field(None, description="field of the prominence; null: unknown")
    language: str | None = Field(
        None,
        description="field of the language, written as in the record (BCP 47); null: any language",
    )
    min: Annotated[PositiveInt | None, Bound()] = Field(
        None, description="smallest number of entities of a kept record; null: no bound"
    )

    @property
    def fields(self) -> Fields:
        optional = self.aliases, self.category, self.prominence, self.language
        return Fields(self.name, self.id, *optional)

    def files(self, base: str) -> tuple[str, ...]:
        return tuple(file.uri for file, _ in files_of(storage.resolve(base, self.table)))

    def load(self, worker: Worker) -> Finder:
        from filters.text.entity_tables.finder import finder_of

        return finder_of(entities_of(storage.resolve(worker.base, self.table), self.fields))

    def reads(self) -> tuple[str, ...]:
        return ("content", "language")

    def measures(self) -> dict[str, pa.DataType]:
        text = pa.list_(pa.string())
        numbers = pa.list_(pa.float64())
        return {"ids": text, "names": text, "categories": text, "prominences": numbers}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        finder: Finder = context.model
        found = finder.find(texts(batch["content"]), one_chunk(batch["language"]))
        rows = finder.table.take(pa.array(found.numbers))
        named = {
            "id": "ids",
            "name": "names",
            "category": "categories",
            "prominence": "prominences",
        }
        return {
            measure: pa.ListArray.from_arrays(pa.array(found.offsets), one_chunk(rows[field]))
            for field, measure in named.items()
        }

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.min is None:
            return None
        few = pc.less(pc.list_value_length(measured["ids"]), self.min)
        return reasons(measured.num_rows, (few, "too few entities"))
