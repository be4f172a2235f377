"""A recipe: its text, its checked model, and the published presets it can name."""
