"""The contract of steps: the three shapes, what they are given and what they answer."""

from manifests.step.corpus import Corpus, Executor, Part, Task, TaskResult, Workspace
from manifests.step.outcome import Outcome, reasons
from manifests.step.shapes import CorpusStep, ReshapeStep, RowStep, Step

__all__ = [
    "Corpus",
    "CorpusStep",
    "Executor",
    "Outcome",
    "Part",
    "ReshapeStep",
    "RowStep",
    "Step",
    "Task",
    "TaskResult",
    "Workspace",
    "reasons",
]  # fmt: skip
