"""`curate schema`: print the JSON Schema of a recipe, or the columns of a record."""

from __future__ import annotations

import argparse
import json

from curate.commands.tables import table
from curate.recipe import json_schema
from manifests.record import FIELDS


def main(options: argparse.Namespace) -> int:
    if not options.record:
        print(json.dumps(json_schema(), indent=1))
    elif options.json:
        print(
            json.dumps(
                [{"name": f.name, "type": str(f.type), "meaning": f.meaning} for f in FIELDS]
            )
        )
    else:
        print(
            table(
                ("column", "type", "meaning"), [(f.name, _short(f.type), f.meaning) for f in FIELDS]
            )
        )
    return 0


def _short(kind: object) -> str:
    return str(kind).split("<")[0] + (" of struct" if "struct" in str(kind) else "")
