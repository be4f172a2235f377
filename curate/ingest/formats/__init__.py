"""File formats that several readers use: tar, JSON arrays, lines, parquet, tables, XML."""
