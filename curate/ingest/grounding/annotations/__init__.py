"""Code that all grounding readers share: annotations, coordinate spaces, and records."""
