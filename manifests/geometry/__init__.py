"""Geometry of annotations on images: coordinate spaces, orientation, image sizes, boxes, polygons,
masks, cameras and 3D boxes."""
