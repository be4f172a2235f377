"""Tables beside a recipe: JSON, Parquet, CSV, TSV, and texts of one line each. They hold items of
benchmarks, entities, examples or a target corpus."""

from manifests.tables.kinds import TABLES, Kind, kind_of
from manifests.tables.read import Row, lines, rows, value

__all__ = ["TABLES", "Kind", "Row", "kind_of", "lines", "rows", "value"]
