"""The corpus as the engine sees it: numbered units, their rows, and indexes of earlier runs."""
