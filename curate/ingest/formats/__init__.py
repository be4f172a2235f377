"""File formats that several readers share: tar, JSON arrays, lines, parquet, tables, XML."""
