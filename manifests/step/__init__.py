"""The contract of a step: the three kinds of steps, their inputs and their outcomes."""

from manifests.step.corpus import Corpus, Executor, Part, Task, TaskResult, Workspace
from manifests.step.outcome import Outcome, reasons
from manifests.step.shapes import CorpusStep, ReshapeStep, RowStep, Step

__all__ = [
    "Corpus", "CorpusStep", "Executor", "Outcome", "Part", "ReshapeStep", "RowStep", "Step",
    "Task", "TaskResult", "Workspace", "reasons",
]  # fmt: skip
