"""`curate clusters`: print the clusters of a run, or write them to a page with example images."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from curate.cli import FAILED, OK
from curate.commands.tables import count, number
from curate.commands.text_width import fitted, fitted_end
from curate.inspect.clusters import ClusterReport, ClusterRow, NearRecord, cluster_table
from manifests.visible import on_one_line

WIDTH = 100
"""The width of the table in columns (our choice)."""
_SHOWN = 2
"""How many of the records nearest to the centre are printed (our choice); JSON has all."""
_TEXT, _IMAGE = 52, 36
"""The columns of a record's text and of the path of its image."""


def main(options: argparse.Namespace) -> int:
    table = cluster_table(options.run, options.step, options.sort, options.limit)
    faults: list[str] = []
    if options.html is not None:
        from curate.inspect.cluster_page import write_page  # imports Pillow

        faults = write_page(table, options.run, options.html, options.base)
    if options.json:
        print(json.dumps(_as_json(table), ensure_ascii=False, indent=1))
    else:
        print("\n".join(_lines(table)))
        if options.html is not None:
            print(f"\npage        {on_one_line(options.html)}")
    for fault in faults:
        moved = "If the file was moved, name its new folder with --base FOLDER."
        print(f"curate: {on_one_line(fault)} {moved}", file=sys.stderr)
    return FAILED if faults else OK


def _as_json(table: ClusterReport) -> dict[str, Any]:
    rows = [
        {**row._asdict(), "nearest": [one._asdict() for one in row.nearest]} for row in table.rows
    ]
    return {**table._asdict(), "rows": rows}


def _lines(table: ClusterReport) -> list[str]:
    """Format the table: a line for each cluster, then a line for each of its nearest records."""
    head = f"{'cluster':>7}  {'records':>9}  {'sparse':>6}  {'distance':>8}  {'density':>7}  terms"
    lines = [head, f"{'-' * 7}  {'-' * 9}  {'-' * 6}  {'-' * 8}  {'-' * 7}  {'-' * (WIDTH - 47)}"]
    for row in table.rows:
        lines.append(_line(row))
        lines += [_near(one) for one in row.nearest[:_SHOWN]]
    return [*lines, "", *_whole(table)]


def _line(row: ClusterRow) -> str:
    sparse = "" if row.sparse is None else f"{row.sparse:.1%}"
    density = "" if row.density is None else f"{row.density:.3f}"
    numbers = f"{row.cluster:>7}  {row.size:>9,}  {sparse:>6}  {row.distance:>8.3f}  {density:>7}"
    return f"{numbers}  {fitted(', '.join(row.terms), WIDTH - 47)}".rstrip()


def _near(one: NearRecord) -> str:
    uri = one.image["uri"] if one.image else ""
    return f"         {fitted(one.text or one.origin, _TEXT)}  {fitted_end(uri, _IMAGE)}".rstrip()


def _whole(table: ClusterReport) -> list[str]:
    shown = f"{len(table.rows):,} of " * (len(table.rows) < table.clusters)
    lines = [
        f"{shown}{count(table.clusters, 'cluster')} of the step '{table.step}', "
        f"{count(table.records, 'record')}; {count(table.without, 'record')} in no cluster"
    ]
    quality = [
        f"{name} {number(value) if isinstance(value, int | float) else value}"
        for name, value in table.quality.items() if value is not None and name != "records"
    ]  # fmt: skip
    return [*lines, *([", ".join(quality)] if quality else [])]
