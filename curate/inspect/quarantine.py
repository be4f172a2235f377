"""Reads the list of everything that a run quarantined."""

from __future__ import annotations

import pyarrow as pa

from curate.engine.outcomes import QUARANTINED
from manifests import storage
from manifests.errors import ManifestError
from manifests.run import manifest
from manifests.run.file_names import RUN_QUARANTINE
from manifests.storage import parts
from manifests.storage.digest import fault_of


def quarantined(out: str) -> pa.Table:
    """Return all quarantined inputs of a run, with the columns `QUARANTINED`.

    Raises ManifestError if the file of quarantined inputs is missing, or has changed since the run
    wrote it. The manifest of the run states the digest of this file. A run that was stopped has no
    manifest yet, so only the values in the file are checked.
    """
    uri = storage.join(out, RUN_QUARANTINE)
    if not storage.exists(uri):
        raise ManifestError(
            "there is no list of quarantined inputs: a run writes this list at its end, or when it "
            "stops because too many inputs are in quarantine",
            uri,
            "Name the output folder of a run, or run the recipe again to finish it.",
        )
    if storage.exists(storage.join(out, manifest.NAME)):
        for entry in manifest.load_run(out).files:
            if entry.name == RUN_QUARANTINE and (fault := fault_of(uri, entry)):
                again = "Run the recipe again, with the same output folder."
                raise ManifestError(fault, uri, again)
    return parts.read_checked(uri, tuple(QUARANTINED.names))
