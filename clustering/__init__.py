"""Embeddings of images. Clusters and sparse concepts are not written yet."""
