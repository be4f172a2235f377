"""Finding items of evaluation benchmarks in records."""
