"""The contract of a step: its three kinds, what it is given and what it answers."""

from manifests.step.corpus import Corpus, Executor, Part, Task, TaskResult, Workspace
from manifests.step.outcome import Outcome, reasons
from manifests.step.shapes import CorpusStep, ReshapeStep, RowStep, Step

__all__ = [
    "Corpus", "CorpusStep", "Executor", "Outcome", "Part", "ReshapeStep", "RowStep", "Step",
    "Task", "TaskResult", "Workspace", "reasons",
]  # fmt: skip
