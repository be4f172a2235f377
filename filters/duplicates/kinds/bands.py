"""Chooses the bands of MinHash signatures by the threshold, so that few duplicates are missed."""

from __future__ import annotations

from typing import NamedTuple

MIN_RECALL = 0.99
"""The smallest share of the pairs with a similarity at the threshold that the chosen bands must
find (our choice)."""
MAX_ROWS = 64
"""The largest number of values in a band that `choose_bands` tries (our choice)."""


class Bands(NamedTuple):
    """A division of a MinHash signature into `bands` bands of `rows` values each. Two texts are
    compared if at least one band is equal."""

    bands: int
    rows: int

    def recall(self, similarity: float) -> float:
        """Returns the probability that two texts with this Jaccard similarity have at least one
        band in common: 20 bands of 6 rows find 0.998 of the pairs at 0.8, and 0.27 at 0.5.

        Source: the S-curve of Leskovec et al., Mining of Massive Datasets, 3.4.2.
        """
        return float(1 - (1 - similarity**self.rows) ** self.bands)


USUAL = Bands(20, 6)
"""The bands that are used for a threshold of 0.77 or more, if signatures have at least 120 values
and the recipe sets neither bands nor rows (our choice)."""


def choose_bands(
    threshold: float, permutations: int, bands: int | None = None, rows: int | None = None
) -> Bands:
    """Returns the bands that find enough of the pairs with a similarity of `threshold`: the number
    of pairs that are found, divided by the number of all such pairs, is at least MIN_RECALL. If no
    bands reach MIN_RECALL, returns the bands that find the largest share of these pairs.

    `permutations` is the number of values in a signature. If `bands` or `rows` is given, this
    number is used. Otherwise USUAL (20 bands of 6 rows) is taken if it finds enough pairs.
    Otherwise the largest number of rows that finds enough pairs is taken, because pairs below the
    threshold then share the fewest bands: 42 bands of 3 rows for a threshold of 0.5 and 128
    permutations.
    """
    fits = bands is None and rows is None and USUAL.bands * USUAL.rows <= permutations
    if fits and USUAL.recall(threshold) >= MIN_RECALL:
        return USUAL
    most = max(1, min(MAX_ROWS, permutations // (bands or 1)))
    tried = [rows] if rows else range(most, 0, -1)
    options = [Bands(bands or max(1, permutations // number), number) for number in tried]
    return next((one for one in options if one.recall(threshold) >= MIN_RECALL), options[-1])


def bands_note(threshold: float, permutations: int, chosen: Bands, verify: bool) -> str:
    """Returns the sentence in which `curate plan` states how many of all pairs with a similarity of
    `threshold` the bands `chosen` find, in percent.

    `verify` is true if the similarity of the pairs that are found is then computed exactly. If
    `verify` is true, and the bands are the usual ones (USUAL) and find almost all pairs, the result
    is "".
    """
    found = chosen.recall(threshold)
    if chosen == USUAL and verify and found >= MIN_RECALL:
        return ""
    note = (
        f"{chosen.bands} bands of {chosen.rows} rows find {_percent(found)} of the pairs whose "
        f"similarity is {threshold:g}"
    )
    if not verify:
        half = (
            f"{_percent(chosen.recall(threshold / 2))} of the pairs whose similarity is half of it"
        )
        note += f", and take {half} for duplicates too, because verify is false"
    if found < MIN_RECALL:
        better = choose_bands(threshold, permutations)
        if better.recall(threshold) <= found:
            return (
                f"{note}. To find more of them, set permutations: {2 * permutations}, "
                "without bands and rows"
            )
        return (
            f"{note}. Remove the settings bands and rows: then {better.bands} bands of "
            f"{better.rows} rows find {_percent(better.recall(threshold))} of them"
        )
    if chosen.bands > USUAL.bands:
        note += (
            f"; they write {chosen.bands / USUAL.bands:.1f} times the keys of {USUAL.bands} bands"
        )
    return note


def _percent(share: float) -> str:
    """Formats a share in percent, rounded down, so that only 1 gives 100 %: 0.99996 -> "99.99
    %"."""
    return f"{int(share * 10_000) / 100:g} %"
