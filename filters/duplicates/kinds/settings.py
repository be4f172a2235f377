"""The setting `by`, which lists kinds of duplicates: the other settings that each kind has, their
defaults, and which kinds can be listed together."""

from __future__ import annotations

from typing import Any, Literal

from filters.duplicates.kinds.bands import choose_bands

By = Literal["text", "image", "minhash", "perceptual", "semantic", "sequence"]
NEAR = ("minhash", "semantic", "sequence")
"""Values of the setting `by` of which only one can be listed."""
DEFAULTS: dict[str, dict[str, Any]] = {
    "minhash": {
        "threshold": 0.8,
        "tokens": "words",
        "n": None,
        "permutations": 128,
        "bands": None,
        "rows": None,
        "verify": True,
    },
    "perceptual": {"distance": 6, "colour_distance": 24.0, "chains": "cut"},
    "semantic": {"threshold": 0.92, "embedding": None, "clusters": None},
    "sequence": {"threshold": 0.5, "distance": 6, "colour_distance": 24.0},
}
"""The settings that belong to each value of `by`, and their defaults. All of these numbers are our
choice. The bands of minhash follow from its threshold."""
_TOKENS_IN_NGRAM = {"words": 5, "whitespace": 5, "characters": 24}
INDEXED = {"by", "tokens", "n", "permutations", "distance", "embedding", "clusters"}
"""Settings that must have the same values in a step and in the step of the earlier run whose index
it reads."""


def with_defaults(given: dict[str, Any], ways: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    """Returns the given settings of the step, completed with the defaults of all kinds of
    duplicates in `ways`, the value of `by`.

    with_defaults({"by": "perceptual"}, ["perceptual"]) -> {"distance": 6, "by": "perceptual"}.
    Raises ValueError for a setting that only other values of `by` use.
    """
    own = {k: v for way in ways for k, v in DEFAULTS.get(str(way), {}).items()}
    for way, settings in DEFAULTS.items():
        for name in settings:
            if given.get(name) is not None and name not in own:
                raise ValueError(
                    f"{name} is a setting of `by: {way}`, not of `by: "
                    f"{', '.join(map(str, ways))}`. Remove {name}."
                )
    if "minhash" in ways and given.get("n") is None:
        own["n"] = _TOKENS_IN_NGRAM.get(given.get("tokens") or "words")
    if "chains" in own and any(way in NEAR for way in ways):
        own["chains"] = "keep"
    known = own | {name: value for name, value in given.items() if value is not None}
    return _with_bands(known) if "minhash" in ways else known


def _with_bands(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of minhash, completed with the numbers of bands and rows that follow
    from the threshold. If one of the settings is not a valid number, the settings are returned
    unchanged: a later check reports the mistake."""
    if any(settings[n] is True for n in ("bands", "rows")):
        return settings
    try:
        threshold, permutations = float(settings["threshold"]), int(settings["permutations"])
        given = [None if settings[n] is None else int(settings[n]) for n in ("bands", "rows")]
    except (TypeError, ValueError, OverflowError):
        return settings
    if not (0 < threshold <= 1 and permutations > 0 and all(n is None or n > 0 for n in given)):
        return settings
    return settings | choose_bands(threshold, permutations, *given)._asdict()


def contradiction(by: tuple[By, ...]) -> str:
    """Returns the reason why these values of `by` cannot be combined; "" if they can be
    combined."""
    if len(set(by)) < len(by):
        return "by: a value is listed twice; list each value once"
    if sum(way in NEAR for way in by) > 1:
        return f"by: list only one of {', '.join(NEAR)}"
    if {"perceptual", "sequence"} <= set(by):
        return "by: list perceptual or sequence, not both"
    return ""
