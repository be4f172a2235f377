"""The base classes of the four kinds of steps, and the types of their inputs and results."""

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
from manifests.step.generative_step import GenerativeStep
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
from manifests.step.request import (
    Answered,
    Message,
    ModelClient,
    Reply,
    Request,
    RowRequests,
    Unanswered,
    requests_of,
)
from manifests.step.request_step import RequestStep
from manifests.step.shapes import CorpusStep, ReshapeStep, RowStep, Step
from manifests.step.spending import Budget, Prices

__all__ = [
    "Answered", "Blobs", "Bound", "Budget", "Columns", "Context", "Corpus", "CorpusStep",
    "Executor", "GenerativeStep", "Images", "Location", "Measured", "Message", "ModelClient",
    "ModelIdentity", "Opened", "Outcome", "Part", "Prices", "Reply", "Request", "RequestStep",
    "ReshapeStep", "Reshaped", "Resources", "RowErrors", "RowRequests", "RowStep", "Step",
    "Task", "TaskResult", "Unanswered", "Worker", "Workspace", "each_row", "reasons",
    "requests_of",
]  # fmt: skip
