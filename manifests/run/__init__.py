"""The bookkeeping of a run: commits, manifests, ledger and fingerprints, and how to verify them."""
