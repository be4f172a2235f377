"""Functions that several of the steps on objects use."""
