"""Reads the categories of a file in COCO's layout."""

from __future__ import annotations

from typing import NamedTuple

from curate.ingest.formats.json_elements import ByteRange, elements
from curate.ingest.formats.json_fields import as_object, id_field, text_field
from curate.ingest.grounding.annotations.grounding_reader import PlacedError
from manifests.errors import RowError


class Categories(NamedTuple):
    """`names` maps the id of a category to its name. If several categories with different names
    have the same id, the id is a key of `repeated` instead, and the value is an error text."""

    names: dict[str, str]
    repeated: dict[str, str]

    def name(self, key: str) -> str:
        """Returns the name of the category with the id `key`. Raises RowError if no category with a
        name has this id, or if several categories with different names have this id."""
        if key in self.repeated:
            raise RowError(self.repeated[key], fix="Give each category its own id.")
        if key not in self.names:
            raise RowError(
                f"the category id is {key}, but no sound entry of `categories` has this id"
            )
        return self.names[key]


def read_categories(place: str, array: ByteRange) -> tuple[Categories, list[PlacedError]]:
    """Reads the array `categories` of the file `place`. Returns the categories, and an error for
    each category that has no name, or that has the same id as a category with another name. An
    annotation that refers to such a category fails later."""
    found: dict[str, dict[str, str]] = {}
    errors: list[PlacedError] = []
    for element in elements(place, *array):
        where = f"categories[{element.number}]"
        try:
            category = as_object(element)
            key, name = id_field(category, "id"), text_field(category, "name")
        except RowError as error:
            errors.append((where, error))
            continue
        found.setdefault(key, {}).setdefault(name, where)
    repeated = {
        key: f"several categories have the id {key}: {' and '.join(places)}"
        for key, places in found.items()
        if len(places) > 1
    }
    errors += [(at, RowError(repeated[key])) for key in repeated for at in found[key].values()]
    names = {key: next(iter(places)) for key, places in found.items() if key not in repeated}
    return Categories(names, repeated), errors
