"""One engine for all duplicates: the contract of a kind, the kinds, and the phases of the work."""
