"""Kinds of duplicates: how each makes keys, finds candidate pairs and verifies them."""
