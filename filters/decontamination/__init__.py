"""Records that contain items of evaluation benchmarks."""
