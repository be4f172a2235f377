"""Stores what the request steps of a run have asked and paid for, in a folder inside the run's
output folder.

The folder has a file with the id of the run. A journal entry states the id of the run that paid for
its reply. For each request step, the folder has a file with the step's bill: the sum of all that
the step has asked and paid for. This file is updated while the step sends requests.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import orjson

from manifests import storage
from manifests.errors import ManifestError
from manifests.run.bill import Bill
from manifests.run.manifest import is_intact, save, with_checksum

FOLDER = "requests"
"""The folder of these files, in the output folder."""
_RUN_ID = "run-id"
_BILL = ".json"


class Payer(NamedTuple):
    """Who pays for requests: the id of a run, and the name of one of its steps. `bill` is the file
    with the step's bill. Without an id, nothing is stored about the requests."""

    run: str = ""
    step: str = ""
    bill: str = ""


NOBODY = Payer()


def payer_of(out: str, run_id: str, step: str) -> Payer:
    return Payer(run_id, step, storage.join(out, FOLDER, step + _BILL))


def run_id(out: str) -> str:
    """Returns the id of the run in the folder `out`, and first creates it if there is none. Raises
    ManifestError if the file with the id is damaged."""
    place = storage.join(out, FOLDER, _RUN_ID)
    if storage.size_and_stamp(place) is None:
        storage.make_folder(storage.join(out, FOLDER))
        storage.write_bytes(place, with_checksum({"run": secrets.token_hex(16)}))
    data = storage.read_bytes(place)
    if not is_intact(data):
        fix = (
            "Delete the file: the budgets of request steps then start at 0 again. `curate journal` "
            "lists what was paid so far."
        )
        raise ManifestError("the file with the id of the run is damaged", place, fix)
    return str(orjson.loads(data)["run"])


def load_bill(uri: str, step: str) -> Bill:
    """Returns the bill in a file; an empty bill if the file does not exist or is damaged."""
    data = storage.read_bytes(uri) if storage.size_and_stamp(uri) else b""
    return Bill.model_validate_json(data) if is_intact(data) else Bill(step=step)


def save_bill(bill: Bill, uri: str) -> None:
    save(bill, uri, durable=False)


def files(out: str) -> list[tuple[str, bool]]:
    """Returns the files of this module in the output folder `out`: for each, its path in that
    folder, and whether it is intact."""
    names = storage.names(storage.join(out, FOLDER))
    ours = [name for name in names if name == _RUN_ID or name.endswith(_BILL)]
    return [
        (f"{FOLDER}/{name}", is_intact(storage.read_bytes(storage.join(out, FOLDER, name))))
        for name in ours
    ]
