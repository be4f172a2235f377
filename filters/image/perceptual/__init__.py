"""Perceptual hashes of images: an image is reduced to a small square of gray values, from which 64
bits are computed."""
