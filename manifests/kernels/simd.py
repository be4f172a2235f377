"""Operations on many values at once; called by compiled loops.

There are two versions with the same results: vector instructions, written in LLVM, and plain loops.
The plain loops are used if numba cannot compile the LLVM version, or if the environment variable
CURATE_PLAIN_LOOPS is set, and not 0.
"""

from __future__ import annotations

from manifests.kernels.compiling import PLAIN_LOOPS
from manifests.kernels.simd_plain import BLOCK, MINIMA

try:
    if PLAIN_LOOPS:
        raise ImportError
    from manifests.kernels.simd_llvm import (
        affine_minima,
        count_bits,
        load8,
        lower_block,
        lowest_bit,
        separator_mask,
        store8,
        underscore_mask,
        upper_product,
    )
except (ImportError, AttributeError):
    from manifests.kernels.simd_plain import (
        affine_minima,
        count_bits,
        load8,
        lower_block,
        lowest_bit,
        separator_mask,
        store8,
        underscore_mask,
        upper_product,
    )

__all__ = [
    "BLOCK", "MINIMA", "affine_minima", "count_bits", "load8", "lower_block", "lowest_bit",
    "separator_mask", "store8", "underscore_mask", "upper_product",
]  # fmt: skip
