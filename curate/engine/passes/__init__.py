"""The kinds of passes. Each module has one kind of pass: its tasks, the work of a task, and the
results."""

from curate.engine.passes.contract import Pass, RunContext, SortedParts, State
from curate.engine.passes.corpus import CorpusPass
from curate.engine.passes.decide import DecidePass
from curate.engine.passes.measure import MeasurePass
from curate.engine.passes.order import OrderPass
from curate.engine.passes.read import ReadPass
from curate.engine.passes.rows import RowsPass
from curate.engine.passes.shards import ShardsPass

__all__ = [
    "CorpusPass", "DecidePass", "MeasurePass", "OrderPass", "Pass", "ReadPass", "RowsPass",
    "RunContext", "ShardsPass", "SortedParts", "State",
]  # fmt: skip
