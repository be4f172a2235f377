"""Coordinates on images: spaces, orientation, sizes, boxes, polygons, masks, cameras, 3D boxes."""
