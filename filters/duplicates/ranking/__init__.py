"""Ranks the units of a family by the setting `keep`, and by the values that it lists."""
