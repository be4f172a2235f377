"""Embeddings; later clusters and rare concepts."""
