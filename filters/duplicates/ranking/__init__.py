"""Which unit of a family is the best: the setting `keep`, and the values it sorts by."""
