"""Compiled loops over Arrow's buffers, without a Python object for each row.

Importing a file of this folder imports numba, and loads the file's loops from the cache or compiles
them. So steps import these files only when they run. A loop takes only arrays and numbers, and its
result depends on nothing else. Loops are written in the part of Python that numba compiles. In this
part an unsigned integer stays unsigned only if the other operand is unsigned too, so constants have
numpy types.
"""
