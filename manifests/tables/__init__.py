"""Reads tables that a recipe names: JSON, Parquet, CSV, TSV, and files with a text on each line.
They hold items of benchmarks, entities, examples or a target corpus."""

from manifests.tables.kinds import TABLES, Kind, kind_of
from manifests.tables.read import Row, lines, rows, value

__all__ = ["TABLES", "Kind", "Row", "kind_of", "lines", "rows", "value"]
