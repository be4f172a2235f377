"""Kinds of duplicates, such as equal texts or similar images. Each kind computes keys, finds
candidate pairs that share a key, and verifies them."""
