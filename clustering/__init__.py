"""Steps that compute embeddings. Steps for clusters and rare concepts are planned."""
