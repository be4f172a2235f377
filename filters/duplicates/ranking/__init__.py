"""Orders the members of a family of duplicates by the setting `keep`, to choose the one that
stays."""
