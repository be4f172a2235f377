"""Embeddings: images as vectors, so that similar images have similar vectors."""
