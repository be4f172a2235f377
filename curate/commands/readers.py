"""`curate readers`: list all readers, or print the manual page of one reader."""

from __future__ import annotations

import argparse
import json

from curate import catalog
from curate.commands.manual import first_line, page
from curate.commands.tables import table


def main(options: argparse.Namespace) -> int:
    if options.name is None:
        kinds = catalog.readers()
        if options.json:
            print(json.dumps({name: first_line(kind) for name, kind in kinds.items()}, indent=1))
            return 0
        print(table(("reader", "what it reads"), [(n, first_line(k)) for n, k in kinds.items()]))
        print("\nMore: curate readers NAME. In a recipe: `- {name: web, reader: NAME, path: ...}`.")
        return 0
    kind = catalog.resolve_reader(options.name)
    if options.json:
        print(json.dumps(kind.model_json_schema(), indent=1))
        return 0
    takes = ", ".join(kind.suffixes) or "every file"
    print(
        page(
            options.name,
            kind,
            [f"takes    {takes}", f"makes    {' or '.join(kind.modalities)} records"],
        )
    )
    return 0
