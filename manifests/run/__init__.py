"""What a run records about itself: manifests of its files, counts of rows, and hashes of settings.
Also compares the files of a finished run with its manifests."""
