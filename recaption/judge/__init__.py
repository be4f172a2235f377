"""Steps that ask a model for scores."""
