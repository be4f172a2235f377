"""The folders from which Ray's workers import modules."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable


class NamedFolders(list[str]):
    """The folders from which Ray's workers import modules, besides the usual ones. Ray always adds
    the current folder; this list accepts only folders that are in `sys.path` of the driver."""

    def extend(self, folders: Iterable[str]) -> None:
        places = {os.path.abspath(place) for place in sys.path}
        super().extend(folder for folder in folders if os.path.abspath(folder) in places)
