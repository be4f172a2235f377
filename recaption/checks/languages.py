"""Finds replies that are not in the language that was asked for, by their script or by fastText's
language model lid.176."""

from __future__ import annotations

import re
from functools import lru_cache

import pyarrow as pa

_READ = 2000
"""The language of a reply is judged by this many characters at its start (our choice)."""
_MIN_LETTERS = 30
"""Replies with fewer letters are not judged (our choice)."""
_FEW, _MOST = 0.1, 0.9
"""If the share of a reply's letters in the script of the language that was asked for is at most
`_FEW`, the reply is in another language. If it is at least `_MOST`, the language model judges the
reply. Replies between both, such as mixtures of Chinese and English, are not judged (our
choice)."""
_MODEL_LETTERS = 100
"""The language model does not judge replies with fewer letters (our choice)."""
_SURE, _UNLIKELY = 0.9, 0.01
"""A reply is in another language if the language model gives one language a probability of at least
`_SURE`, and the language that was asked for less than `_UNLIKELY` (our choice).
docs/models-in-the-loop.md has the numbers of false alarms with these values."""
_SCRIPTS = {
    "Latin": ("A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff", """
        af az br bs ca ceb cs cy da de en eo es et eu fi fr ga gl hr ht hu id is it jv la lb lt lv
        mg ms mt nl no oc pl pt ro sk sl sq su sv sw tl tr vi"""),
    "Cyrillic": ("\u0400-\u052f", "be bg ky mk mn ru tg tt uk"),
    "Greek": ("\u0370-\u03ff\u1f00-\u1ffe", "el"),
    "Arabic": ("\u0620-\u06ff\u0750-\u077f", "ar arz ckb fa ps ug ur"),
    "Hebrew": ("\u05d0-\u05ea", "he yi"),
    "Devanagari": ("\u0904-\u097f", "hi mr ne sa"),
    "Bengali": ("\u0980-\u09ff", "as bn"),
    "Gujarati": ("\u0a80-\u0aff", "gu"),
    "Tamil": ("\u0b80-\u0bff", "ta"),
    "Telugu": ("\u0c00-\u0c7f", "te"),
    "Kannada": ("\u0c80-\u0cff", "kn"),
    "Malayalam": ("\u0d00-\u0d7f", "ml"),
    "Sinhala": ("\u0d80-\u0dff", "si"),
    "Thai": ("\u0e00-\u0e7f", "th"),
    "Lao": ("\u0e80-\u0eff", "lo"),
    "Tibetan": ("\u0f00-\u0fff", "bo dz"),
    "Burmese": ("\u1000-\u109f", "my"),
    "Georgian": ("\u10a0-\u10ff", "ka"),
    "Armenian": ("\u0530-\u058f", "hy"),
    "Ethiopic": ("\u1200-\u137f", "am ti"),
    "Khmer": ("\u1780-\u17ff", "km"),
    "Hangul": ("\uac00-\ud7a3\u1100-\u11ff", "ko"),
    "Kana and Han": ("\u3040-\u30ff\u3400-\u9fff", "ja"),
    "Han": ("\u3400-\u9fff\u8c48-\ufaff\U00020000-\U000323af", "yue zh"),
}  # fmt: skip
"""For each script, its letters and the languages that are written in this script alone."""
_LETTERS = {
    tag: re.compile(f"[{ranges}]") for ranges, tags in _SCRIPTS.values() for tag in tags.split()
}
_NO_LETTERS = re.compile(r"[\W\d_]+")


def is_other_language(text: str, language: str) -> bool:
    """Returns whether a text is certainly not in the language of a BCP 47 tag. The result is False
    if the text is short or mixes scripts, if the tag is unknown, or if its language has two
    scripts."""
    tag = re.split("[-_]", language.lower())[0]
    letters = _NO_LETTERS.sub("", text[:_READ])
    if tag not in _LETTERS or len(letters) < _MIN_LETTERS:
        return False
    share = len(_LETTERS[tag].findall(letters)) / len(letters)
    if share <= _FEW:
        return True
    if share < _MOST or len(letters) < _MODEL_LETTERS:
        return False
    return _model_disagrees(text[:_READ], tag)


def _model_disagrees(text: str, tag: str) -> bool:
    from manifests.kernels.fasttext import probabilities  # numba, which most replies do not need
    from manifests.models.language_model import language_model

    labels = _labels()
    if tag not in labels:
        return False
    if sum(map(str.isupper, text)) > sum(map(str.islower, text)):
        text = text.lower()  # the model takes capitals for Japanese
    [found] = probabilities(pa.array([" ".join(text.split())]), language_model())
    return bool(found.max() >= _SURE and found[labels[tag]] < _UNLIKELY)


@lru_cache(maxsize=1)
def _labels() -> dict[str, int]:
    from manifests.models.language_model import language_model

    return {label: number for number, label in enumerate(language_model().labels)}
