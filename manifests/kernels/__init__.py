"""Compiled loops over Arrow's buffers, with no Python object a row.

Importing a file in here imports numba and loads its loops from the cache, or compiles them the
first time: steps import one when they are called. Each loop takes arrays alone, so what it answers
depends on nothing else. Bodies are in the part of Python that numba compiles, where unsigned
integers stay unsigned only among themselves: hence the numpy constants.
"""
