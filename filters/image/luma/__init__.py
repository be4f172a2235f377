"""Images as a few pixels of luma."""
