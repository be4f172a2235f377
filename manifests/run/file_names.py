"""Names of the files of a run."""

from __future__ import annotations

STEPS = "steps"
"""The folder of a run that has a folder for each pass."""
RUN_QUARANTINE = "quarantine.arrow"
"""The file with all quarantined rows of a run."""
UNFINISHED = "unfinished.json"
"""The manifest of the passes that are done, in the folder of a run that stopped before its end."""
PART, DROPPED, QUARANTINE, BLOBS = ".arrow", ".dropped.arrow", ".quarantined.arrow", ".media"
"""File name endings: the name of each file of a part is the part's name and one of these."""
COMMIT = ".json"
"""The file name ending of a commit, which is the manifest of a part."""
