"""Turns raw captions, documents and videos into training shards, and accounts for every record."""

from __future__ import annotations

import importlib.util
import os

__version__ = "0.1.0"


def _refuse_shadows() -> None:
    """Raise ImportError if Python would import a module of the user in place of the package of
    curate with the same name, such as `filters`. Workers make this check too."""
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for name in ("filters", "recaption", "clustering", "manifests"):
        spec = importlib.util.find_spec(name)
        origin = os.path.abspath(spec.origin) if spec and spec.origin else None
        if origin != os.path.join(home, name, "__init__.py"):
            found = origin or (spec and next(iter(spec.submodule_search_locations or []), None))
            missing = "does not find it. Install curate again."
            shadow = f"finds {found} first. Rename that file, or remove its folder from PYTHONPATH."
            raise ImportError(
                f"curate needs its own package '{name}' from {home}, but Python "
                f"{shadow if found else missing}"
            )


_refuse_shadows()
