"""The step `decontaminate`: drops records that contain items of evaluation benchmarks."""
