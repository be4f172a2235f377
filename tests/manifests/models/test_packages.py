"""Weights inside a package are used only if they are the expected bytes."""

from __future__ import annotations

import hashlib
import sys
from importlib import metadata

import pytest

from manifests.errors import InputError
from manifests.models.packages import PackagedFile


def packaged(**changes: str) -> PackagedFile:
    """The licence of numpy, which every installation has."""
    files = metadata.files("numpy") or []
    path = next(str(f) for f in files if f.name == "__init__.py" and len(f.parts) == 2)
    with open(str(metadata.distribution("numpy").locate_file(path)), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    given = {"package": "numpy", "version": metadata.version("numpy"), "path": path,
             "sha256": digest}  # fmt: skip
    return PackagedFile(**{**given, **changes})


def test_a_file_of_a_package_is_read_without_an_import() -> None:
    before = set(sys.modules)
    assert b"numpy" in packaged().read().lower()
    assert set(sys.modules) - before == set()


def test_another_digest_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"has SHA-256 .* with SHA-256 abc.*pip install --force-reinstall"
    ):
        packaged(sha256="abc").read()


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(InputError, match="no-such-package: the package is not installed"):
        packaged(package="no-such-package").read()


def test_a_file_that_the_package_lacks_is_named() -> None:
    with pytest.raises(
        InputError, match=r"numpy/none.bin: the file cannot be read.*--force-reinstall"
    ):
        packaged(path="numpy/none.bin").read()
