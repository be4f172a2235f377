"""Readers of images with annotated objects: one file for each format."""
