"""Steps that look at annotated objects: boxes, points, polygons, masks, labels, 3D boxes."""
