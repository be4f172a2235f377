"""A module that cannot be imported."""

raise ValueError("the library has another version")
