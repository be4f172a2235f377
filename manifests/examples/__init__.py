"""Reads files of items with which records are compared, such as the questions of a benchmark. Items
have texts, images or embeddings."""
