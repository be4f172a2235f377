"""Records of captions: made of columns, of rows, or of samples with sidecar files."""
