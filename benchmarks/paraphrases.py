"""Makes paraphrases of real captions by rules, for `benchmarks.semantic_text`.

A paraphrase says the same in other words. Four rules, all ours: a synonym, the last place moved to
the front, active to passive voice, and a clause that adds nothing. All random decisions are derived
from a seed and the caption.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

SYNONYMS = {
    "close to": "near", "next to": "beside", "on top of": "upon", "a couple of": "two",
    "a bunch of": "many", "a group of": "several", "lots of": "many", "a lot of": "many",
    "photograph": "photo", "photo": "image", "image": "photo",
    "bicycle": "bike", "bicycles": "bikes", "bike": "bicycle", "motorcycle": "motorbike",
    "motorcycles": "motorbikes", "couch": "sofa", "sofa": "couch", "tv": "television",
    "television": "TV", "cellphone": "mobile phone", "cell phone": "mobile phone",
    "airplane": "plane", "airplanes": "planes", "plane": "aircraft", "jet": "aircraft",
    "automobile": "car", "cars": "automobiles", "car": "automobile", "truck": "lorry",
    "refrigerator": "fridge", "fridge": "refrigerator", "laptop": "notebook computer",
    "donut": "doughnut", "doughnut": "donut", "doughnuts": "donuts", "donuts": "doughnuts",
    "man": "gentleman", "woman": "lady", "lady": "woman", "men": "gentlemen", "women": "ladies",
    "kid": "child", "kids": "children", "children": "kids", "child": "kid", "people": "persons",
    "baby": "infant", "puppy": "young dog", "kitten": "young cat",
    "large": "big", "big": "large", "huge": "enormous", "small": "little", "little": "small",
    "tiny": "very small", "young": "youthful", "old": "aged", "several": "a number of",
    "many": "numerous", "tall": "high", "beautiful": "lovely", "colorful": "multicolored",
    "street": "road", "road": "street", "house": "home", "shop": "store", "store": "shop",
    "sidewalk": "pavement", "ocean": "sea", "beach": "seashore",
    "field": "meadow", "grass": "lawn", "near": "close to", "beside": "next to",
    "below": "under", "under": "beneath", "above": "over", "behind": "in back of",
    "sitting": "seated", "sits": "is seated", "walking": "strolling", "running": "racing",
    "looking": "gazing", "looks": "gazes", "speaking": "talking", "talking": "speaking",
    "jumping": "leaping", "jumps": "leaps", "laying": "lying", "shows": "depicts",
    "filled": "full", "displayed": "shown", "parked": "left standing", "meal": "dish",
}  # fmt: skip
"""Words and phrases with a word or phrase that has the same meaning in a caption (our choice)."""
_PASSIVE = {
    "holding": "held", "riding": "ridden", "eating": "eaten", "wearing": "worn",
    "carrying": "carried", "pulling": "pulled", "pushing": "pushed", "throwing": "thrown",
    "hitting": "hit", "cutting": "cut", "driving": "driven", "using": "used",
    "watching": "watched", "preparing": "prepared", "washing": "washed", "catching": "caught",
    "chasing": "chased", "kicking": "kicked", "flying": "flown", "feeding": "fed",
}  # fmt: skip
_SYNONYM = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, SYNONYMS), key=len, reverse=True)) + r")\b", re.I
)
_LAST_PLACE = re.compile(
    r"^(?P<before>[^.;:]{12,}?) (?P<place>(?:in|on|at|near|under|behind|inside) "
    r"(?:a|an|the|his|her|their) [\w -]{3,30})$"
)
_ACTIVE = re.compile(
    rf"^(?P<who>(?:an?|the|two|three|one) [\w -]{{2,30}}?) (?:is |are )?"
    rf"(?P<verb>{'|'.join(_PASSIVE)}) (?P<what>(?:an?|the) [\w-]+)(?P<rest>(?: .*)?)$",
    re.I,
)
_CLAUSES = (
    "The image shows {}.", "This is an image of the following: {}.", "In this photo, {}.",
    "{}, as can be seen in the image.", "We see {} here.", "{}, captured in a photograph.",
    "Here is a view of this scene: {}.", "{}; that is what the image shows.",
)  # fmt: skip


class Paraphrase(NamedTuple):
    """A paraphrase, and the names of its rules joined by "+", such as "synonym+clause"."""

    text: str
    rules: str


def paraphrase(caption: str, seed: int) -> Paraphrase | None:
    """Returns a paraphrase made by one or two rules; None if no rule applies to the caption."""
    random = Random(f"{seed} {caption}")
    names = list(RULES)
    random.shuffle(names)
    wanted, text, used = random.choice((1, 2)), caption.strip().rstrip(".").strip(), list[str]()
    for name in sorted(names, key=lambda name: name == "clause"):  # it fits every caption: last
        if len(used) == wanted:
            break
        changed = RULES[name](text, random)
        if changed is not None:
            text, used = changed, [*used, name]
    return Paraphrase(text, "+".join(sorted(used))) if used else None


def _synonyms(text: str, random: Random) -> str | None:
    most = random.choice((1, 2, 3))
    changed = _SYNONYM.sub(lambda found: SYNONYMS[found[0].lower()], text, count=most)
    return changed if changed != text else None


def _place_first(text: str, random: Random) -> str | None:
    found = _LAST_PLACE.match(text)
    if found is None or " and " in found["place"]:
        return None
    place = found["place"]
    return f"{place[0].upper()}{place[1:]}, {_lower_first(found['before'])}"


def _passive(text: str, random: Random) -> str | None:
    found = _ACTIVE.match(text)
    if found is None:
        return None
    what = found["what"]
    who, verb = _lower_first(found["who"]), _PASSIVE[found["verb"].lower()]
    return f"{what[0].upper()}{what[1:]} is being {verb} by {who}{found['rest']}"


def _clause(text: str, random: Random) -> str | None:
    pattern = random.choice(_CLAUSES)
    return pattern.format(text if pattern.startswith("{}") else _lower_first(text))


def _lower_first(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


RULES: dict[str, Callable[[str, Random], str | None]] = {
    "synonym": _synonyms,
    "order": _place_first,
    "voice": _passive,
    "clause": _clause,
}


class NearMiss(NamedTuple):
    """A caption that differs from a real one by a word or two, and means something else. `kind` is
    the file of SugarCrepe, such as "replace_att"."""

    caption: str
    text: str
    kind: str


def near_misses(folder: Path) -> list[NearMiss]:
    """Returns pairs of SugarCrepe (Hsieh et al. 2023), one random pair for each image, because
    captions of one image may mean the same. `folder` has captions/sugarcrepe/data/*.json."""
    of_image: dict[str, list[NearMiss]] = {}
    for file in sorted((folder / "captions/sugarcrepe/data").glob("*.json")):
        for pair in json.loads(file.read_text("utf-8")).values():
            made = NearMiss(pair["caption"], pair["negative_caption"], file.stem)
            of_image.setdefault(pair["filename"], []).append(made)
    return [Random(image).choice(pairs) for image, pairs in of_image.items()]


def descriptions(folder: Path) -> list[str]:
    """Returns the descriptions of images in the textbooks of OpenStax, at most 300 characters
    each."""
    found = dict[str, None]()
    for file in sorted((folder / "captions/openstax").glob("*.captions.jsonl")):
        for line in file.read_text("utf-8").strip().split("\n"):
            text = json.loads(line)["alt"] or ""
            if 20 <= len(text) <= 300:
                found[text] = None
    return list(found)
