"""Text as code points."""
