"""Searches records for items of benchmarks: by n-grams of texts, by hashes of images, by
embeddings."""
