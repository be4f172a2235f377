"""What a run writes about itself: commits, manifests, the ledger, fingerprints, and their check."""
