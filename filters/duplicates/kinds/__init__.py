"""Kinds of duplicates. Each kind computes keys, finds candidate pairs and verifies them."""
