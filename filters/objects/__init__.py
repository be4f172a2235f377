"""What decides which annotated objects of a record stay, and how they are written."""
