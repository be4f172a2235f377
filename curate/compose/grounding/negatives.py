"""Questions for what is not in the image."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from curate.compose.grounding import templates as words
from curate.compose.grounding.choice import Draws, draws
from curate.compose.grounding.one_image import OneImage, one_image
from curate.compose.grounding.rendering import Style, What, rendered
from curate.compose.grounding.templates import ABSENT, FORMS, TEMPLATES, Template, Templates
from curate.compose.grounding.turns import Segment, Turn, added, rewritten
from manifests import storage
from manifests.errors import InputError
from manifests.media import Media
from manifests.record.objects import Objects, flat_objects
from manifests.step import Outcome, RowStep

_STEM_ENDS = re.compile("(?<=.)i$")
"""berries, berry."""


class Negatives(RowStep):
    """Add questions for categories that the image does not have, answered accordingly.

    By `categories` you say that the source annotates these to the last instance in every image:
    one that a record has no object of is absent. (Qwen2.5-VL's report has such queries for
    categories that are not there.) A category is not asked for if its words, in the singular and
    in lower case, are all among those of a label, or the other way round: `car` is not absent
    beside `toy cars`; `person` beside `man` is, so list no category that another one means too.
    A record with an object without a label is left alone, and so is one that is not about one
    image.

    Put it before steps that take objects out of records: what they take out is in the image
    still. It adds its turn to the conversation that a record has, at a random place, so write
    `grounding_text` behind it with `turns: add`; a record that has no conversation becomes one,
    and the text it had is kept in `raw_text`.

    The answer is an empty list in the JSON styles, or with `answer: words` a sentence; the other
    styles have sentences alone. `absent` are the categories that a record is asked for, null where
    it is left alone. Which records, categories and words is a hash of `seed` and the record's id.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"absent": pa.list_(pa.string())}
    rewrites: ClassVar[tuple[str, ...]] = ("content", "raw_text")

    categories: tuple[str, ...] | str = Field(
        description="the categories, or a file of them: a line each, or a JSON list"
    )
    share: float = Field(0.1, ge=0, le=1, description="share of records that are asked (ours)")
    per_query: PositiveInt = Field(
        1, description="categories that a question names at most; how many is random (ours)"
    )
    style: Style = Field("qwen3", description="as in `grounding_text`")
    what: What = Field("boxes", description="what is asked for")
    answer: Literal["list", "words"] = Field("list", description="how nothing is told")
    templates: Templates = None
    seed: int = Field(0, description="another one asks other records in other words")

    @model_validator(mode="after")
    def _sound(self) -> Negatives:
        words.check_asked(self.style, self.what, self.templates, "labels")
        if not isinstance(self.categories, str):
            _check(self.categories, "categories")
        return self

    def files(self, base: str) -> tuple[str, ...]:
        return (storage.resolve(base, self.categories),) if isinstance(self.categories, str) else ()

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        image = one_image(batch, objects)
        choices = draws(batch["id"], self.seed, "negatives")
        chosen = np.array([one.below(2**53) < self.share * 2**53 for one in choices], bool)
        rows = np.flatnonzero(chosen & _judged(objects, image)).tolist()
        known = self._known(media)
        labels = _labels(objects, batch.num_rows)
        content = batch["content"].to_pylist() if rows else []
        absent: list[list[str] | None] = [None] * batch.num_rows
        contents: dict[int, list[Segment]] = {}
        for row in rows:  # row by row: no two records have the same labels
            asked = self._absent(known, labels[row], choices[row])
            if asked:
                absent[row] = asked
                turn = self._turn(", ".join(asked), choices[row])
                where = int(image.media[row])
                contents[row] = added(content[row], where, [turn], choices[row])
        measured = pa.array(absent, pa.list_(pa.string()))
        return Outcome({"absent": measured} | rewritten(batch, contents))

    def _known(self, media: Media) -> list[tuple[str, frozenset[str]]]:
        """Every category with its words."""
        if isinstance(self.categories, str):
            place = media.resolve(self.categories)
            return _of_file(place, storage.size_and_stamp(place))
        return [(name, _words(name)) for name in self.categories]

    def _absent(
        self, known: list[tuple[str, frozenset[str]]], labels: list[frozenset[str]], draws: Draws
    ) -> list[str]:
        absent = [name for name, own in known if not any(a <= own or own <= a for a in labels)]
        return draws.some(absent, 1 + draws.below(self.per_query))

    def _turn(self, name: str, draws: Draws) -> Turn:
        own = tuple(Template(text) for text in self.templates or ())
        asked = draws.one(own or TEMPLATES[FORMS[self.style], self.what, "labels"])
        if self.answer == "list" and FORMS[self.style] == "json":
            return Turn(asked.about(name), rendered(self.style, self.what, []))
        return Turn(asked.about(name), draws.one(ABSENT).about(name))


def _judged(objects: Objects, image: OneImage) -> np.ndarray:
    """(rows,) bool: about one image, and every object has a label."""
    judged: np.ndarray = image.media >= 0
    unnamed = pc.equal(pc.utf8_trim_whitespace(objects.field("label").fill_null("")), "")
    judged[objects.rows[np.asarray(unnamed)]] = False
    return judged


def _labels(objects: Objects, records: int) -> list[list[frozenset[str]]]:
    """The words of every label of each record."""
    labels = objects.field("label").dictionary_encode()
    known = [_words(label or "") for label in labels.dictionary.to_pylist()]
    of_rows: list[dict[int, None]] = [{} for _ in range(records)]
    pairs = zip(objects.rows.tolist(), labels.indices.fill_null(-1).to_pylist(), strict=True)
    for row, label in pairs:
        of_rows[row][label] = None
    return [[known[label] for label in own if label >= 0] for own in of_rows]


def _words(name: str) -> frozenset[str]:
    """Lower case, without what endings of the plural may have added (ours: too little is asked
    for rather than too much)."""
    parts = re.findall(r"\w+", name.casefold().replace("_", " "))
    return frozenset(_STEM_ENDS.sub("y", part.rstrip("es") or part) for part in parts)


def _check(names: tuple[str, ...] | list[str], place: str) -> None:
    """ValueError for no categories, or one that says nothing."""
    if not names:
        raise ValueError(f"{place}: there are none")
    silent = [name for name in names if not _words(name)]
    if silent:
        raise ValueError(f"{place}: {silent[0]!r} names nothing")


@lru_cache(maxsize=8)
def _of_file(place: str, stamp: object) -> list[tuple[str, frozenset[str]]]:
    """The categories of a file; read again where the file is another."""
    data = storage.read_bytes(place)
    try:
        names = _listed(data)
        _check(names, "the file")
    except ValueError as error:
        raise InputError(
            f"no list of categories: {error}", place, "A line each, or a JSON list."
        ) from None
    return [(name, _words(name)) for name in names]


def _listed(data: bytes) -> list[str]:
    if not data.lstrip().startswith(b"["):
        lines = data.decode("utf-8-sig").splitlines()
        return [line.strip() for line in lines if line.strip()]
    names = orjson.loads(data)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("not all are text")
    return list(names)
