"""What a run records about itself: manifests of its files, counts of rows, and hashes of settings.
Also verifies finished runs against these."""
