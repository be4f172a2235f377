"""The operations of `simd`, as LLVM instructions on vectors.

numba translates Python to LLVM, a portable assembly language. Python cannot express that 64 bytes
are one value, but LLVM can: `<64 x i8>` is a vector of 64 lanes of 8 bits, and one instruction acts
on every lane. A kernel calls the functions below like any other function. The `emit` in each
function runs when the kernel is compiled: every `builder` call in it appends one instruction to the
kernel, and returns a handle for the value that the instruction will compute.

    load, store             memory to value, value to memory
    add, sub, mul, or_ ...  on integers modulo 2^bits, lane by lane
    icmp_unsigned, _signed  compare lane by lane; a lane of the result is one bit, 1 if true
    select                  lane by lane: the first value if the bit is 1, the second if it is 0
    bitcast                 the same bits read as another type: 64 lanes of 1 bit become one 64-bit
                            number, a *mask*, whose bit i belongs to lane i; the address of a byte
                            becomes the address of the 64 bytes that start there
    gep                     the address of an array's element at an index

If registers are narrower than the vectors (AVX2: 32 bytes, NEON: 16), LLVM uses several registers,
and the results are the same. Bounds are not checked: callers must allocate enough memory.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import int64, types, uint64
from numba.core import cgutils
from numba.extending import intrinsic

from manifests.kernels.simd_plain import BLOCK

_BYTE, _WORD, _LONG, _WIDE = (ir.IntType(bits) for bits in (8, 32, 64, 128))
_BYTES, _WORDS = ir.VectorType(_BYTE, BLOCK), ir.VectorType(_WORD, 16)


@intrinsic
def load8(typing: Any, source: Any, at: Any) -> Any:
    """Returns the 8 bytes of `source` from position `at` on as one number. The first byte becomes
    the lowest byte of the number."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1], _LONG)
        return _load(builder, address)

    return uint64(source, int64), emit


@intrinsic
def store8(typing: Any, target: Any, at: Any, value: Any) -> Any:
    """Writes the 8 bytes of a number into `target` from position `at` on, the lowest byte first."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature.args[0], args[0], args[1], _LONG)
        _store(builder, args[2], address)
        return context.get_dummy_value()

    return types.void(target, int64, uint64), emit


@intrinsic
def lower_block(typing: Any, source: Any, at: Any, target: Any, to: Any) -> Any:
    """Copies 64 bytes and replaces A to Z by a to z: the bytes of `source` from position `at` on
    become the bytes of `target` from position `to` on. Returns a 64-bit number whose bit i is 1 if
    byte i is not ASCII.

    The byte of a small letter is the byte of its capital plus 32, and the bit 32 is not set in any
    capital. A byte is not ASCII if its highest bit is set; such a byte is negative as a signed
    number.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        read = _load(
            builder, _address(context, builder, signature.args[0], args[0], args[1], _BYTES)
        )
        small = builder.or_(read, _in_all_lanes(_BYTES, 32))
        written = builder.select(_between(builder, read, "A", "Z"), small, read)
        to = _address(context, builder, signature.args[2], args[2], args[3], _BYTES)
        _store(builder, written, to)
        return builder.bitcast(_not_ascii(builder, read), _LONG)

    return uint64(source, int64, target, int64), emit


@intrinsic
def separator_mask(typing: Any, source: Any, at: Any, by_words: Any) -> Any:
    """Returns a 64-bit number whose bit i is 1 if the byte `source[at + i]` is a separator. If
    `by_words` is false, separators are ASCII whitespace, as in `str.isspace`. If `by_words` is
    true, separators are all ASCII characters except digits and small letters."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        read = _load(
            builder, _address(context, builder, signature.args[0], args[0], args[1], _BYTES)
        )
        tab_to_return = _between(builder, read, "\t", "\r")
        space = builder.or_(tab_to_return, _between(builder, read, "\x1c", " "))
        letter, digit = _between(builder, read, "a", "z"), _between(builder, read, "0", "9")
        word = builder.or_(builder.or_(letter, digit), _not_ascii(builder, read))
        masks = [builder.bitcast(lanes, _LONG) for lanes in (builder.not_(word), space)]
        return builder.select(args[2], *masks)

    return uint64(source, int64, types.boolean), emit


@intrinsic
def underscore_mask(typing: Any, source: Any, at: Any) -> Any:
    """Returns a 64-bit number whose bit i is 1 if the byte `source[at + i]` is an underscore."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        read = _load(
            builder, _address(context, builder, signature.args[0], args[0], args[1], _BYTES)
        )
        return builder.bitcast(_between(builder, read, "_", "_"), _LONG)

    return uint64(source, int64), emit


@intrinsic
def lowest_bit(typing: Any, mask: Any) -> Any:
    """Returns the index of the lowest bit that is set; 64 if no bit is set."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))  # count of trailing zeros

    return int64(uint64), emit


@intrinsic
def count_bits(typing: Any, mask: Any) -> Any:
    """Returns how many bits of `mask` are set."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return int64(uint64), emit


@intrinsic
def upper_product(typing: Any, a: Any, b: Any) -> Any:
    """Returns the upper 64 bits of the 128-bit product of two numbers; the lower 64 bits are
    `a * b`."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        product = builder.mul(builder.zext(args[0], _WIDE), builder.zext(args[1], _WIDE))
        return builder.trunc(builder.lshr(product, ir.Constant(_WIDE, 64)), _LONG)

    return uint64(uint64, uint64), emit


@intrinsic
def affine_minima(
    typing: Any, hashes: Any, count: Any, a: Any, b: Any, first: Any, minima: Any
) -> Any:
    """Computes 32 values of a MinHash signature. For the 32 values of k from `first` on, minima[k]
    becomes the minimum of a[k] * h + b[k] modulo 2^32 over the first `count` hashes h; 2^32 - 1 if
    `count` is 0.

    All values of the loop stay in registers: `a`, `b` and the minima so far are two vectors of 16
    lanes each. Each iteration copies one hash into all lanes, multiplies, adds, and keeps the
    smaller value. `alloca` declares a variable, for which the compiler chooses a register.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def address(argument: int, at: Any, kind: Any) -> Any:
            array, value = signature.args[argument], args[argument]
            return _address(context, builder, array, value, at, kind)

        places = [args[4], builder.add(args[4], ir.Constant(_LONG, _WORDS.count))]
        times = [_load(builder, address(2, place, _WORDS)) for place in places]
        plus = [_load(builder, address(3, place, _WORDS)) for place in places]
        smallest = [cgutils.alloca_once(builder, _WORDS) for _ in places]
        for variable in smallest:
            builder.store(_in_all_lanes(_WORDS, 2**32 - 1), variable)
        with cgutils.for_range(builder, args[1]) as loop:
            hashed = builder.load(address(0, loop.index, _WORD))
            copies = _copied_to_all_lanes(builder, hashed)
            for half in (0, 1):
                value = builder.add(builder.mul(times[half], copies), plus[half])
                before = builder.load(smallest[half])
                is_less = builder.icmp_unsigned("<", value, before)
                builder.store(builder.select(is_less, value, before), smallest[half])
        for half in (0, 1):
            _store(builder, builder.load(smallest[half]), address(5, places[half], _WORDS))
        return context.get_dummy_value()

    return types.void(hashes, int64, a, b, int64, minima), emit


def _address(context: Any, builder: Any, array: Any, value: Any, at: Any, kind: Any) -> Any:
    """Returns the address of element `at` of a numba array. `kind` is the LLVM type of the value at
    this address, such as a vector of 64 bytes."""
    data = context.make_array(array)(context, builder, value).data
    return builder.bitcast(builder.gep(data, [at]), kind.as_pointer())


def _load(builder: Any, address: Any) -> Any:
    """Reads a value at any address, even if the address is not a multiple of the value's size."""
    value = builder.load(address)
    value.align = 1
    return value


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, address).align = 1


def _in_all_lanes(kind: ir.VectorType, value: int) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count)


def _copied_to_all_lanes(builder: Any, value: Any) -> Any:
    """Returns a vector that has `value` in every lane. It writes the value into lane 0 of an
    undefined vector, then copies lane 0 to all lanes."""
    nothing = ir.Constant(_WORDS, ir.Undefined)
    in_lane_0 = builder.insert_element(nothing, value, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(in_lane_0, nothing, _in_all_lanes(_WORDS, 0))


def _between(builder: Any, values: Any, first: str, last: str) -> Any:
    """Returns, for each byte of a vector, whether it is in the range from `first` to `last`, both
    included. `first` is subtracted from each byte. Bytes below `first` then become large (0 - 1 is
    255), so one comparison is enough."""
    above_first = builder.sub(values, _in_all_lanes(_BYTES, ord(first)))
    return builder.icmp_unsigned("<=", above_first, _in_all_lanes(_BYTES, ord(last) - ord(first)))


def _not_ascii(builder: Any, values: Any) -> Any:
    return builder.icmp_signed("<", values, _in_all_lanes(_BYTES, 0))
