"""Readers of images with annotated objects: one module for each format."""
