"""What a run records: commits, manifests, ledger and fingerprints; and how to verify a run."""
