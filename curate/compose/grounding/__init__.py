"""Questions and answers about annotated objects, and objects parsed from such answers."""
