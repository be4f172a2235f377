"""What the text kernels do to many values at once; to be called by kernels.

These are single instructions of the processor, written in LLVM, or plain loops with the same
results: where numba's door to LLVM is shut, or where CURATE_PLAIN_LOOPS is set to 1.
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
        upper_product,
    )

__all__ = [
    "BLOCK", "MINIMA", "affine_minima", "count_bits", "load8", "lower_block", "lowest_bit",
    "separator_mask", "store8", "upper_product",
]  # fmt: skip
