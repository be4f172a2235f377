"""Coordinates on images: spaces, orientation, sizes, boxes, masks, cameras."""
