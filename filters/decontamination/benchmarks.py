"""The settings of a benchmark in a recipe."""

from __future__ import annotations

from pydantic import Field

from manifests.examples.files import ItemFiles


class Benchmark(ItemFiles):
    """The settings of a benchmark in a recipe. A field is the name of a column, or a dotted path to
    a field inside a column (`choices.text`)."""

    name: str = Field(min_length=1, description="name of the benchmark in the measure `benchmark`")

    @property
    def what(self) -> str:
        return f"benchmark '{self.name}'"
