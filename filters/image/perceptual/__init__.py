"""Perceptual hashes of images: from pixels to luma, from luma to 64 bits."""
