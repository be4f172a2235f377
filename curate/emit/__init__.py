"""Training shards from records: the order of rows, the columns of a row, and four file formats."""
