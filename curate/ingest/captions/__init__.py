"""Readers of image-caption pairs and of conversations about images."""
