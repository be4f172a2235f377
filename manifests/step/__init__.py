"""The base classes of the three kinds of steps, and the types of their inputs and results."""

from manifests.step.context import Blobs, Context
from manifests.step.corpus import (
    Corpus,
    Executor,
    Opened,
    Part,
    Task,
    TaskResult,
    Worker,
    Workspace,
)
from manifests.step.needs import Bound, Images, Location, ModelIdentity, Resources
from manifests.step.outcome import (
    Columns,
    Measured,
    Outcome,
    Reshaped,
    RowErrors,
    each_row,
    reasons,
)
from manifests.step.shapes import CorpusStep, ReshapeStep, RowStep, Step

__all__ = [
    "Blobs", "Bound", "Columns", "Context", "Corpus", "CorpusStep", "Executor", "Images",
    "Location", "Measured", "ModelIdentity", "Opened", "Outcome", "Part", "ReshapeStep",
    "Reshaped", "Resources", "RowErrors", "RowStep", "Step", "Task", "TaskResult", "Worker",
    "Workspace", "each_row", "reasons",
]  # fmt: skip
