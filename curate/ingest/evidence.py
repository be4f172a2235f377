"""What a source shows about its own meaning: counts and examples, added up over all its splits.

One file may be too small to show that its boxes have another space, or that its lines have another
dialect. So a reader gathers evidence in each split, the commit of the part keeps it, and the pass
judges the sum after all splits are read. A new file changes the sum, and no part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MAX_EXAMPLES = 8
"""Number of examples of each kind that a split, and the sum, keep (our choice: enough to find the
spaces that fit, and under a kilobyte)."""


class Evidence(NamedTuple):
    """The evidence on one question. All values are JSON values.

    `counts` are added, of `largest` the maximum is kept, and of `examples` the first ones, by kind.
    """

    counts: Mapping[str, int]
    largest: Mapping[str, float]
    examples: Mapping[str, list[Any]]


Findings = Mapping[str, Evidence]
"""The evidence of a batch, of a split or of a source, by question."""


def total(findings: Iterable[Findings]) -> Findings:
    """Returns the sum of the evidence on each question."""
    out: dict[str, Evidence] = {}
    for one in findings:
        for question, evidence in one.items():
            out[question] = _sum(out[question], evidence) if question in out else evidence
    return out


def to_json(findings: Findings) -> dict[str, Any]:
    return {question: dict(evidence._asdict()) for question, evidence in sorted(findings.items())}


def from_json(value: Mapping[str, Any]) -> Findings:
    return {question: Evidence(**evidence) for question, evidence in value.items()}


def _sum(a: Evidence, b: Evidence) -> Evidence:
    counts = Counter(a.counts)
    counts.update(b.counts)
    largest = {
        name: max(one[name] for one in (a.largest, b.largest) if name in one)
        for name in sorted({*a.largest, *b.largest})
    }
    examples = {
        kind: [*a.examples.get(kind, []), *b.examples.get(kind, [])][:MAX_EXAMPLES]
        for kind in sorted({*a.examples, *b.examples})
    }
    return Evidence(dict(sorted(counts.items())), largest, examples)
