"""The step `head`: gives records of prominent entities a higher probability to be kept."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from curate.sampling.power import power
from curate.sampling.selection.counts import Count
from curate.sampling.selection.entity_facts import entity_facts
from curate.sampling.selection.list_counts import count_values
from curate.sampling.selection.value_probabilities import record_probabilities, write_probabilities
from manifests.record import one_chunk
from manifests.step import Context, Corpus, CorpusStep, Outcome, Workspace


class Head(CorpusStep):
    """Give records a probability by which records of prominent entities are kept more often.

    `records` are divided over the entities. The share q of an entity is proportional to
    clip(prominence, floor, cap)^alpha, over all entities of the corpus; with `categories`, the
    shares of a category add up to its proportion. The quota of an entity is round(records * q), at
    least `min` and at most `max`. Its probability p is the quota divided by the number of records
    that have the entity, at most 1.

    `probability` of a record is the probability that at least one of its entities is drawn: 1 - the
    product of (1 - p). It is 0 for a record without entities. A record with several entities counts
    for each of them, so the probabilities need not add up to `records`; `sample: {records: N,
    weight: head.probability}` keeps an exact number. This step drops no record.

    The Qwen3-VL report (section 3.2.2) publishes the principle: knowledge is sampled by importance,
    prominent entities more, the others in smaller proportions. The formula is ours.
    """

    records: Count = Field(description="number of records to divide over the entities")
    of: str = Field("entities", description="name of the step that found the entities")
    alpha: PositiveFloat = Field(
        0.5,
        le=1,
        description="exponent of the prominence; a lower one makes shares more equal (our choice)",
    )
    floor: PositiveFloat = Field(
        1.0, description="a lower or unknown prominence is replaced by this (our choice)"
    )
    cap: PositiveFloat | None = Field(
        None, description="a higher prominence is replaced by this; null: no cap"
    )
    min: NonNegativeInt = Field(1, description="smallest quota of an entity (our choice)")
    max: NonNegativeInt | None = Field(
        None, description="largest quota of an entity; null: no limit"
    )
    categories: dict[str, NonNegativeFloat] | None = Field(
        None,
        description="proportions of the categories, such as {animal: 2, plant: 1}; entities of "
        "other categories have no quota; null: all entities are divided together",
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Head:
        if self.cap is not None and self.floor > self.cap:
            raise ValueError(f"floor {self.floor} is over cap {self.cap}")
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is over max {self.max}")
        return self

    @property
    def _ids(self) -> str:
        return f"{self.of}.ids"

    def reads(self) -> tuple[str, ...]:
        return (self._ids, f"{self.of}.categories", f"{self.of}.prominences")

    def measures(self) -> dict[str, pa.DataType]:
        return {"probability": pa.float64()}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> str:
        """Returns the path of a file with the probability of each entity."""
        counts = count_values(corpus, workspace, self._ids, ())
        facts = entity_facts(corpus, workspace, self.of)
        at = pc.index_in(counts["value"], one_chunk(facts["id"]))
        facts = facts.take(one_chunk(at))
        available = np.asarray(counts["count"])
        quotas = self.quotas(
            np.asarray(facts["prominence"].fill_null(np.nan)), facts["category"].to_pylist()
        )
        p = np.minimum(1, quotas / np.maximum(available, 1))
        return write_probabilities(workspace, counts["group"], counts["value"], p)

    def quotas(self, prominence: np.ndarray, category: list[str | None]) -> np.ndarray:
        """Returns the quota of each entity, from its prominence (NaN: unknown) and its category."""
        known = np.where(np.isnan(prominence), self.floor, prominence)
        capped = np.clip(known, self.floor, np.inf if self.cap is None else self.cap)
        q = self._shared(power(capped, self.alpha), category)
        most = np.iinfo(np.int64).max if self.max is None else self.max
        quotas: np.ndarray = np.clip(np.floor(self.records * q + 0.5), self.min, most)
        return np.where(q > 0, quotas, 0)

    def _shared(self, q: np.ndarray, category: list[str | None]) -> np.ndarray:
        """Returns q scaled so that its sum is 1 and the sum of each category is the category's
        proportion. Entities of a category without a proportion get 0."""
        proportions = self.categories or {"": 1.0}
        own = np.array(["" if self.categories is None else one for one in category], object)
        present = {name: size for name, size in proportions.items() if (own == name).any()}
        total, shared = sum(present.values()), np.zeros(len(q))
        for name, size in present.items():
            inside = own == name
            if size:
                shared[inside] = q[inside] / np.cumsum(q[inside])[-1] * (size / total)
        return shared

    def apply(self, rows: pa.Table, fit: str, context: Context) -> Outcome:
        return Outcome({"probability": record_probabilities(rows, self._ids, (), fit)})
