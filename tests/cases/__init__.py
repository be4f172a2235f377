"""Checks of a folder of cases: small inputs that went wrong, each with its right outcome."""
