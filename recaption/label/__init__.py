"""Steps that ask a model for a label."""
