"""Steps that measure, change or remove annotated objects: boxes, points, polygons, masks, labels,
3D boxes, cameras."""
