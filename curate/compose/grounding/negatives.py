"""The step `negatives`: questions for categories that are not in the image."""

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
from curate.compose.grounding.grounded_image import grounded_images, incomplete
from curate.compose.grounding.random_choices import RandomChoices, random_choices
from curate.compose.grounding.rendering import Geometry, Style, render_answer
from curate.compose.grounding.templates import (
    ABSENT_ANSWERS,
    STYLE_FORMS,
    TEMPLATES,
    OwnTemplates,
    Template,
)
from curate.compose.grounding.turns import Segment, Turn, add_turns, replace_contents
from manifests import storage
from manifests.errors import InputError
from manifests.media import Media
from manifests.record import known_absent
from manifests.record.objects import Objects, flat_objects
from manifests.step import Columns, Context, RowStep, reasons

_FINAL_I = re.compile("(?<=.)i$")
"""Matches the i of `berri`, which is `berries` without its ending; `berri` becomes `berry`."""


class Negatives(RowStep):
    """Add questions for categories that the image does not have, with answers that state their
    absence.

    List in `categories` what the source annotates completely in every image: a category without an
    object in a record is then absent from its image. (Qwen2.5-VL's report has such questions for
    absent categories.) To be safe, a category is not asked for if all its words are in one label of
    the record, or if all words of one label are in the category; words are compared in the singular
    and in lower case. So `car` is not asked for beside `toy cars`. But `person` is asked for beside
    `man`: do not list a category that can include objects with another label. A record gets no
    question if one of its objects has no label, if it is not about exactly one image, or if it lost
    an annotation when it was read (`curate.lost` in `meta`); `no_question` has this reason. If the
    source names the categories that are absent from an image (LVIS does; `curate.absent` in
    `meta`), only these are asked for.

    Put this step before steps that remove objects, because a removed object is still in the image.
    The new turn is inserted into the record's conversation: before one of the questions after its
    last image, or at its end, at random. So put `grounding_text`
    after it, with `turns: add`. A record without a conversation becomes a conversation, and its old
    text is kept in `raw_text`.

    The answer is an empty list in the JSON styles, or a sentence with `answer: words`. The other
    styles always have a sentence. `absent` lists the categories in the question of a record; it is
    null for a record without a question. The choice of records, categories and templates depends
    only on a hash of the recipe's seed and the record's id.
    """

    version: ClassVar[int] = 3
    rewrites: ClassVar[tuple[str, ...]] = ("content", "raw_text")
    uses_seed: ClassVar[bool] = True

    categories: tuple[str, ...] | str = Field(
        description="the categories; or a file with one category on each line, or with a JSON list"
    )
    share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of records that are chosen to get a question (our choice); a chosen "
        "record gets none if it is not suitable, or if no category is absent from it",
    )
    per_query: PositiveInt = Field(
        1,
        description=(
            "maximum number of categories in a question; the number is chosen at "
            "random (our choice)"
        ),
    )
    style: Style = Field("qwen3", description="format of answers, as in `grounding_text`")
    what: Geometry = Field(
        "boxes", description="what the question asks for: boxes, points or 3D boxes"
    )
    answer: Literal["list", "words"] = Field(
        "list", description="the answer: an empty list, or a sentence"
    )
    templates: OwnTemplates = None

    @model_validator(mode="after")
    def _check_settings(self) -> Negatives:
        words.check_question_settings(self.style, self.what, self.templates, "labels")
        if not isinstance(self.categories, str):
            _check_categories(self.categories, "categories")
        return self

    def files(self, base: str) -> tuple[str, ...]:
        return (storage.resolve(base, self.categories),) if isinstance(self.categories, str) else ()

    def reads(self) -> tuple[str, ...]:
        return ("id", "objects", "media", "content", "raw_text", "meta")

    def measures(self) -> dict[str, pa.DataType]:
        return {"absent": pa.list_(pa.string()), "no_question": pa.string()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        objects = flat_objects(batch["objects"])
        images = grounded_images(batch, objects)
        choices = random_choices(batch["id"], context.seed)
        chosen = np.array([one.below(2**53) < self.share * 2**53 for one in choices], bool)
        unsuitable = pc.coalesce(images.drop, incomplete(batch), _unnamed(objects, batch.num_rows))
        rows = np.flatnonzero(chosen & np.asarray(unsuitable.is_null())).tolist()
        categories = self._categories(context.media)
        labels = _label_words(objects, batch.num_rows)
        known = known_absent(batch["meta"])
        content = batch["content"].to_pylist() if rows else []
        absent: list[list[str] | None] = [None] * batch.num_rows
        contents: dict[int, list[Segment]] = {}
        for row in rows:  # row by row: each record has its own labels
            possible = _known(categories, known[row])
            names = self._absent(possible, labels[row], choices[row])
            if names:
                absent[row] = names
                turn = self._turn(", ".join(names), choices[row])
                image = int(images.media[row])
                contents[row] = add_turns(content[row], image, [turn], choices[row])
        columns = {"absent": pa.array(absent, pa.list_(pa.string())), "no_question": unsuitable}
        return columns | replace_contents(batch, contents)

    def _categories(self, media: Media) -> list[tuple[str, frozenset[str]]]:
        """Returns every category, and the words of its name."""
        if isinstance(self.categories, str):
            path = media.resolve(self.categories)
            return _read_categories(path, storage.size_and_stamp(path))
        return [(name, _words(name)) for name in self.categories]

    def _absent(
        self,
        categories: list[tuple[str, frozenset[str]]],
        labels: list[frozenset[str]],
        choices: RandomChoices,
    ) -> list[str]:
        """Returns 1 to `per_query` randomly chosen categories that no label of a record matches; an
        empty list if there is no such category. A label matches a category if all its words are in
        the category, or if all words of the category are in the label. `categories` are names and
        the words in each name; `labels` are the words in each label of the record."""
        absent = [
            name
            for name, own in categories
            if not any(label <= own or own <= label for label in labels)
        ]
        return choices.sample(absent, 1 + choices.below(self.per_query))

    def _turn(self, name: str, choices: RandomChoices) -> Turn:
        own = tuple(Template(text) for text in self.templates or ())
        form = STYLE_FORMS[self.style]
        template = choices.choice(own or TEMPLATES[form, self.what, "labels"])
        if self.answer == "list" and form == "json":
            return Turn(template.fill(name), render_answer(self.style, self.what, []))
        return Turn(template.fill(name), choices.choice(ABSENT_ANSWERS).fill(name))


def _known(
    categories: list[tuple[str, frozenset[str]]], absent: list[str] | None
) -> list[tuple[str, frozenset[str]]]:
    """Returns the categories that have the same words as one of `absent`, the labels that are known
    to be absent from the image. If `absent` is None, returns all categories."""
    if absent is None:
        return categories
    known = {_words(str(name)) for name in absent}
    return [category for category in categories if category[1] in known]


def _unnamed(objects: Objects, records: int) -> pa.Array:
    """Returns (records,) string: the reason to ask no question about a record in which an object
    has no label, because this object may belong to any category; null for other records."""
    unnamed = pc.equal(pc.utf8_trim_whitespace(objects.field("label").fill_null("")), "")
    found = np.zeros(records, bool)
    found[objects.rows[np.asarray(unnamed)]] = True
    return reasons(records, (found, "an object without a label"))


def _label_words(objects: Objects, records: int) -> list[list[frozenset[str]]]:
    """Returns, for each record, the words of each of its labels."""
    labels = objects.field("label").dictionary_encode()
    words_of = [_words(label or "") for label in labels.dictionary.to_pylist()]
    codes: list[dict[int, None]] = [{} for _ in range(records)]
    pairs = zip(objects.rows.tolist(), labels.indices.fill_null(-1).to_pylist(), strict=True)
    for row, code in pairs:
        codes[row][code] = None
    return [[words_of[code] for code in own if code >= 0] for own in codes]


def _words(name: str) -> frozenset[str]:
    """Returns the words of a name in lower case, without plural endings.

    `_words("Red berries") -> {"red", "berry"}`. This is our own rule. It also cuts words that are
    not plurals (`glass` becomes `gla`), so that a category that may be in the image is not asked
    for.
    """
    parts = re.findall(r"\w+", name.casefold().replace("_", " "))
    return frozenset(_FINAL_I.sub("y", part.rstrip("es") or part) for part in parts)


def _check_categories(names: tuple[str, ...] | list[str], place: str) -> None:
    """Raises ValueError if there is no category, or if a category has no letter or digit. `place`
    says in the error where the categories are given."""
    if not names:
        raise ValueError(f"{place}: the list of categories is empty")
    wordless = [name for name in names if not _words(name)]
    if wordless:
        raise ValueError(f"{place}: the category {wordless[0]!r} has no letter or digit")


@lru_cache(maxsize=8)
def _read_categories(path: str, stamp: object) -> list[tuple[str, frozenset[str]]]:
    """Returns the categories in the file `path`, each with the words in its name. The result is
    kept in memory until `stamp`, the file's size and date, changes."""
    data = storage.read_bytes(path)
    try:
        names = _parse_categories(data)
        _check_categories(names, "the file")
    except ValueError as error:
        raise InputError(
            f"the file is not a list of categories: {error}",
            path,
            "Write one category on each line, or a JSON list.",
        ) from None
    return [(name, _words(name)) for name in names]


def _parse_categories(data: bytes) -> list[str]:
    if not data.lstrip().startswith(b"["):
        lines = data.decode("utf-8-sig").splitlines()
        return [line.strip() for line in lines if line.strip()]
    names = orjson.loads(data)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("an element of the JSON list is not text")
    return list(names)
