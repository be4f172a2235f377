"""Steps on annotated objects: boxes, points, polygons, masks, labels, 3D boxes, cameras."""
