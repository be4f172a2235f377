"""Orders the members of a family (group of duplicates) by the setting `keep`, to choose the member
that stays."""
