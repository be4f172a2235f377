"""Embeddings: images and texts as vectors, so that what is alike lies close together."""
