"""Steps that ask a model for captions."""
