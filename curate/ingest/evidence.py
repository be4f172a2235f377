"""Evidence about the format of a source, such as the coordinate space of its boxes, added up over
all its files.

One file may be too small to show that its boxes have another coordinate space than declared. So a
reader gathers evidence in each split (the range of a file that one task reads), and the sum is
judged after all splits are read. A new file changes this sum, but no output file that was already
written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MAX_EXAMPLES = 8
"""Number of examples of each kind that are kept, for one split and for the sum (our choice: enough
to find the spaces that fit, and under a kilobyte)."""


class Evidence(NamedTuple):
    """Counts, maxima and examples on one question, such as whether the boxes fit the declared
    space. All values are JSON values.

    If the evidence of two splits is added, `counts` are summed, `largest` keeps the larger value of
    each key, and `examples` keeps the first MAX_EXAMPLES examples of each key.
    """

    counts: Mapping[str, int]
    largest: Mapping[str, float]
    examples: Mapping[str, list[Any]]


Findings = Mapping[str, Evidence]
"""Maps each question to its evidence, for a batch, a split or a source."""


def total(findings: Iterable[Findings]) -> Findings:
    """Adds up the evidence of several batches or splits, for each question separately."""
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
