"""Properties of text, by code point."""
