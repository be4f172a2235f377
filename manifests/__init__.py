"""What all packages share: records, media, storage, compiled loops, the contract of steps, runs."""
