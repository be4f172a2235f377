"""The step `locate_agreement`: compares what two steps `locate` found."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveFloat

from manifests.errors import RowError
from manifests.record import ABSENT, OBJECT, PARTIAL, one_chunk
from manifests.step import Bound, Context, Measured, RowErrors, RowStep, reasons
from manifests.step.bounds import Share
from recaption.locate.matching import Match, match, name_of
from recaption.locate.replies import plain

AGREED, PARTLY, DISAGREE = "agreed", "partly agreed", "disagree"
NOTHING_FOUND, NOT_COMPARED = "nothing found", "not compared"
_SAME = "both steps asked the same model with the same seed, so they got the same reply"
_FIX = "Give one of the steps another model, or a seed that differs by at least 2."


class LocateAgreement(RowStep):
    """Add to each record the objects that two steps `locate` found at the same place.

    Two objects agree if they have the same label and a confidence of at least `threshold`. The
    confidence of two boxes is their intersection over union. The confidence of two points falls
    from 1 at the same place to 0 at a distance of `point_radius`. Each object agrees with at most
    one other; the pair with the highest confidence is taken first. For each pair, one object is
    added to the record, with the coordinates that the step `first` found. Its attributes are
    `confidence` (four decimals) and `located_by`, the names of both models.

    `unmatched` states what becomes of objects that only one step found. With `mark` they are left
    out, and the added objects with the same label are marked as incomplete (`curate.partial`), so
    that `grounding_text` and `counting` ask nothing about this label. With `leave_out` they are
    left out as mistakes, and nothing is marked. With `keep` they are added, with a `confidence` of
    null. The record's own objects stay as they are, except with `unlocated: remove`: an own object
    without coordinates is then removed if an object with its label is added.

    If both steps were asked for a name and neither step found it, the name is added to
    `curate.absent` in `meta`. The step `negatives` then asks only for names in this list.

    Measures: `first` and `second` are the numbers of objects that each step found, `agreed` is the
    number of pairs, and `unmatched` the number of objects that only one step found. `confidence` is
    the lowest confidence of the record's pairs. `status` is `agreed`, `partly agreed`, `disagree`
    (no pair), `nothing found` (by both), or `not compared`, if one of the steps did not ask or got
    only bad replies. `min_confidence` drops records with a lower `confidence`. A record is
    quarantined if both steps asked the same model with the same seed about it, because their
    replies are then the same.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("objects", "meta")

    first: str = Field("locate", description="name of the step `locate` whose coordinates are kept")
    second: str = Field("locate-2", description="name of the other step `locate`")
    threshold: Share = Field(
        0.5, description="smallest confidence of two objects that agree (our choice)"
    )
    point_radius: PositiveFloat = Field(
        100,
        description="distance from which two points have the confidence 0; 1000 is the width or "
        "height of the image (our choice)",
    )
    unmatched: Literal["mark", "leave_out", "keep"] = Field(
        "mark",
        description="what becomes of objects that only one step found: leave them out and mark "
        "their label as incomplete, only leave them out, or keep them",
    )
    unlocated: Literal["keep", "remove"] = Field(
        "keep",
        description="keep or remove objects without coordinates if an object with the same label "
        "is added",
    )
    min_confidence: Annotated[Share | None, Bound()] = Field(
        None, description="smallest `confidence` of a record that is kept; null: all are kept"
    )

    def reads(self) -> tuple[str, ...]:
        measures = ("found", "asked", "model", "model_and_seed")
        own = (f"{step}.{name}" for step in (self.first, self.second) for name in measures)
        return ("objects", "meta", *own)

    def measures(self) -> dict[str, pa.DataType]:
        counts = dict.fromkeys(("first", "second", "agreed", "unmatched"), pa.int32())
        return {"status": pa.string(), "confidence": pa.float64(), **counts}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        first, second = (_answers(batch, step) for step in (self.first, self.second))
        errors = RowErrors(batch.num_rows)
        measured: list[dict[str, Any]] = []
        objects, metas = batch["objects"].to_pylist(), batch["meta"].to_pylist()
        # A loop over rows: each record has two lists, which are matched.
        for row, (a, b) in enumerate(zip(first, second, strict=True)):
            if a is None or b is None:
                measured.append({"status": NOT_COMPARED})
                continue
            if a.model_and_seed == b.model_and_seed:
                errors.add(row, RowError(_SAME, fix=_FIX))
            matches = match(a.found, b.found, self.threshold, self.point_radius)
            objects[row] = self._objects(objects[row], a, b, matches)
            metas[row] = _with_absent(metas[row], a, b)
            measured.append(_measures(a, b, matches))
        columns = {
            name: pa.array([row.get(name) for row in measured], kind)
            for name, kind in self.measures().items()
        }
        columns["objects"] = pa.array(objects, pa.list_(OBJECT))
        columns["meta"] = pa.array(metas, pa.string())
        return Measured(columns, errors)

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.min_confidence is None:
            return None
        low = pc.less(measured["confidence"], self.min_confidence)
        return reasons(measured.num_rows, (low, "low confidence"))

    def _objects(
        self, own: list[dict[str, Any]], a: _Answer, b: _Answer, matches: list[Match]
    ) -> list[dict[str, Any]]:
        """Returns the record's own objects, followed by the added ones."""
        unmatched = _unmatched(a, b, matches)
        unsure = {name_of(one) for one, _ in unmatched} if self.unmatched == "mark" else set()
        new = [
            _located(
                a.found[m.first],
                m.confidence,
                (a.model, b.model),
                name_of(a.found[m.first]) in unsure,
            )
            for m in matches
        ]
        if self.unmatched == "keep":
            new += [_located(one, None, (model,), False) for one, model in unmatched]
        if self.unlocated == "remove":
            placed = {plain(one["label"]) for one in new if one["label"]}
            own = [one for one in own if not (_is_unlocated(one) and plain(one["label"]) in placed)]
        return own + new


class _Answer(NamedTuple):
    """What a step `locate` found in a record, and the names that it was asked for."""

    found: list[dict[str, Any]]
    asked: list[str]
    model: str
    model_and_seed: str


def _answers(batch: pa.Table, step: str) -> list[_Answer | None]:
    columns = (one_chunk(batch[f"{step}.{name}"]).to_pylist() for name in _Answer._fields)
    return [None if row[0] is None else _Answer(*row) for row in zip(*columns, strict=True)]


def _unmatched(a: _Answer, b: _Answer, matches: list[Match]) -> list[tuple[dict[str, Any], str]]:
    """Returns the objects that only one step found, each with the name of the model that found
    it."""
    first, second = {m.first for m in matches}, {m.second for m in matches}
    return [
        *((one, a.model) for i, one in enumerate(a.found) if i not in first),
        *((one, b.model) for j, one in enumerate(b.found) if j not in second),
    ]


def _located(
    one: dict[str, Any], confidence: float | None, models: tuple[str, ...], is_partial: bool
) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "confidence": None if confidence is None else round(confidence, 4),
        "located_by": list(models),
    }
    if is_partial:
        attributes[PARTIAL] = True
    return {**one, "attributes": json.dumps(attributes, ensure_ascii=False)}


def _is_unlocated(one: dict[str, Any]) -> bool:
    places = ("box", "point", "polygon", "box3d", "start")
    return one["label"] is not None and all(one[name] is None for name in places)


def _with_absent(meta: str | None, a: _Answer, b: _Answer) -> str:
    """Returns the JSON of a record's `meta` in which the names that neither step found are added to
    `curate.absent`."""
    found = {one["label"] for one in (*a.found, *b.found)}
    absent = [name for name in a.asked if name in b.asked and name not in found]
    before = json.loads(meta) if meta else {}
    known = before.get(ABSENT) or []
    return json.dumps(before | {ABSENT: [*dict.fromkeys([*known, *absent])]}, ensure_ascii=False)


def _measures(a: _Answer, b: _Answer, matches: list[Match]) -> dict[str, Any]:
    unmatched = len(a.found) + len(b.found) - 2 * len(matches)
    status = AGREED if matches else NOTHING_FOUND
    if unmatched:
        status = PARTLY if matches else DISAGREE
    confidence = min((m.confidence for m in matches), default=None)
    return {"status": status, "confidence": confidence, "first": len(a.found),
            "second": len(b.found), "agreed": len(matches), "unmatched": unmatched}  # fmt: skip
