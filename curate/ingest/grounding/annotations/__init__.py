"""What the grounding readers share: annotations of an image, checked and joined to it."""
