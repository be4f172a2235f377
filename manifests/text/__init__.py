"""Functions and tables for text: classes of characters, and reading JSON."""
