"""Compiled loops over Arrow's buffers, without a Python object for each row.

Importing a file of this folder imports numba, and loads the file's loops from the cache or compiles
them. So steps import one only when they run. A loop takes nothing but arrays and numbers, and its
result depends on nothing else. Bodies are written in the part of Python that numba compiles. There
an unsigned integer stays unsigned only if the other operand is unsigned too: hence the constants of
numpy types.
"""
