"""Columns of embeddings as unit vectors, and which vectors are nearest by their cosine."""
