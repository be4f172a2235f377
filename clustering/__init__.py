"""Embeddings, clusters and sparse concepts. Empty so far: only the name is held."""
