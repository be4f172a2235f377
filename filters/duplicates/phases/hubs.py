"""Notes for the user about the search for duplicates: about records or images with very many
duplicates, such as a logo; and about images that were not compared with all other images of their
family (group of images with near hashes)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manifests.step import Workspace

if TYPE_CHECKING:
    from filters.duplicates.phases.forest import Forest
    from filters.duplicates.phases.survivors import Survivors
    from filters.duplicates.ranking.members import Members

MIN_JOINED = 100
"""A note lists a unit if more than this many other units are its duplicates (our choice)."""
_NAMED = 3
"""The most units that a note lists (our choice)."""


def note(space: Workspace, text: str) -> None:
    """Prints a note for the user; prints nothing if the text is empty."""
    if text:
        space.note(text)


def hub_note(forest: Forest, members: Members, survivors: Survivors) -> str:
    """Returns a note about the units (records or images) of which more than MIN_JOINED other units
    are duplicates; "" if there is no such unit. The note lists the record ids of the three such
    units that have the most duplicates."""
    of = survivors.duplicate_of
    joined = np.bincount(of[of >= 0], minlength=len(forest.units))
    hubs = np.flatnonzero(joined > MIN_JOINED)
    if not len(hubs):
        return ""
    ids = members.ids.take(hubs).to_pylist()
    largest = sorted(zip(joined[hubs].tolist(), ids, strict=True), key=lambda h: (-h[0], h[1]))
    named = ", ".join(f"{id_} ({count:,})" for count, id_ in largest[:_NAMED])
    more = f", and {len(hubs) - _NAMED:,} more" if len(hubs) > _NAMED else ""
    return (
        f"more than {MIN_JOINED} others were joined to each of these: {named}{more}. Look at them: "
        "curate duplicates OUT"
    )


def left_note(left: int, most: int) -> str:
    """Returns a note that `left` images were not compared with all images of their family; "" if
    `left` is 0. A family is a group of images with near hashes. To limit the time, at most `most`
    images of each family are compared with all others of the family."""
    if not left:
        return ""
    return (
        f"{left:,} images were not compared with all images that have near hashes: more than "
        f"{most:,} of these do not look the same. They stay. With a smaller distance, fewer images "
        "have near hashes"
    )
