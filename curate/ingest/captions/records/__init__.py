"""Records of captions: made from columns, from rows, or from samples with sidecar files."""
