"""Questions and answers about annotated objects, and the way back from text to objects."""
