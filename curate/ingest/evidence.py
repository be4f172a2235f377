"""Adds up, over all files of a source, the evidence about its format: counts, maxima and examples
that show, for instance, whether its boxes have the coordinate space that the recipe declares.

One file may be too small to show that its boxes have another coordinate space than declared. So a
reader collects such counts, maxima and examples in each split (the range of a file that one task
reads). The evidence of all splits is added up and judged after all splits are read. A new file
changes the sum, but it changes no output file that was already written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

MAX_EXAMPLES = 8
"""Number of examples of each kind that are kept, for one split and for the sum (our choice: enough
to find the spaces that fit, and under a kilobyte)."""
MAX_SAMPLE = 100_000
"""Number of texts in a sample that are kept, for one split and for the sum (our choice: about ten
megabytes)."""


class Evidence(NamedTuple):
    """What was found about one question, such as whether the boxes fit the declared space. All
    values are JSON values.

    `counts` has numbers by name, such as the number of boxes that are outside their image.
    `largest` has maxima by name, such as the largest coordinate. `examples` has examples by kind,
    such as right and wrong boxes. `sample` has texts. If the evidence of two splits is added,
    `counts` are summed, `largest` keeps the maximum, `examples` keeps the first MAX_EXAMPLES of
    each kind, and `sample` keeps the MAX_SAMPLE smallest texts, without duplicates.
    """

    counts: Mapping[str, int]
    largest: Mapping[str, float]
    examples: Mapping[str, list[Any]]
    sample: Collection[str] = ()


Findings = Mapping[str, Evidence]
"""Maps each question to its evidence, for a batch, a split or a source."""


class Sum:
    """Adds up the evidence (counts, maxima and examples) of batches or splits, separately for each
    question."""

    def __init__(self) -> None:
        self._of_question: dict[str, _QuestionSum] = {}

    def add(self, findings: Findings) -> None:
        for question, evidence in findings.items():
            self._of_question.setdefault(question, _QuestionSum()).add(evidence)

    @property
    def findings(self) -> Findings:
        return {question: added.evidence for question, added in self._of_question.items()}


def total(findings: Iterable[Findings]) -> Findings:
    """Returns the sum of the evidence (counts, maxima and examples) of several batches or splits,
    separately for each question."""
    added = Sum()
    for one in findings:
        added.add(one)
    return added.findings


def to_json(findings: Findings) -> dict[str, Any]:
    return {question: dict(evidence._asdict()) for question, evidence in sorted(findings.items())}


def from_json(value: Mapping[str, Any]) -> Findings:
    return {question: Evidence(**evidence) for question, evidence in value.items()}


class _QuestionSum:
    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._largest: dict[str, float] = {}
        self._examples: dict[str, list[Any]] = {}
        self._sample: set[str] = set()

    def add(self, evidence: Evidence) -> None:
        self._counts.update(evidence.counts)
        for name, value in evidence.largest.items():
            self._largest[name] = max(self._largest.get(name, value), value)
        for kind, some in evidence.examples.items():
            kept = self._examples.setdefault(kind, [])
            kept += some[: MAX_EXAMPLES - len(kept)]
        self._sample.update(evidence.sample)
        if len(self._sample) > 2 * MAX_SAMPLE:  # not at once, so that adding takes linear time
            self._sample = set(sorted(self._sample)[:MAX_SAMPLE])

    @property
    def evidence(self) -> Evidence:
        return Evidence(
            dict(sorted(self._counts.items())),
            dict(sorted(self._largest.items())),
            dict(sorted(self._examples.items())),
            sorted(self._sample)[:MAX_SAMPLE],
        )
