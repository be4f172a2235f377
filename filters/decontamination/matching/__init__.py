"""Looking up records among the items of benchmarks."""
