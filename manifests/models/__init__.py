"""Model files read into arrays, without running anything they name."""
