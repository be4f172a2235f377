"""Embeddings; clusters and rare concepts are planned."""
