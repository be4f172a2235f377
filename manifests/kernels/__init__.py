"""Compiled loops over Arrow's buffers, without a Python object for each row.

Importing a file of this folder imports numba, and loads the file's loops from the cache or compiles
them. So steps import these files only when the steps run. A loop takes only arrays and numbers, and
its result depends only on these arguments. Loops are written in the part of Python that numba
compiles. If one operand is unsigned and the other is signed, numba's result is not unsigned, so
constants have unsigned numpy types.
"""
