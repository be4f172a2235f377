"""Computes embeddings: vectors of images, where similar images have similar vectors."""
