"""What a run records about itself: manifests of its files, counts of rows, and hashes of settings;
and how this is verified."""
