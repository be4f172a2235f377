"""Headers of tar members (POSIX ustar) with fixed owner, mode and time."""

from __future__ import annotations

from manifests.errors import RowError

BLOCK = 512
END = bytes(2 * BLOCK)
_MODE_AND_OWNER = b"0000644\x00" + b"0000000\x00" * 2
_TIME = b"00000000000\x00"
_REST = (b"0" + bytes(100) + b"ustar\x0000").ljust(356, b"\x00")
_FIXED_SUM = sum(_MODE_AND_OWNER + _TIME + _REST) + 8 * ord(" ")


def header(name: str, size_bytes: int) -> bytes:
    """Returns the 512-byte tar header of a file. Raises RowError for a name of more than 100
    bytes."""
    name_bytes = name.encode()
    if len(name_bytes) > 100:
        raise RowError(f"'{name}' has more than 100 bytes, too long for a name in a tar")
    size = b"%011o\x00" % size_bytes
    checksum = b"%06o\x00 " % (_FIXED_SUM + sum(name_bytes) + sum(size))
    return name_bytes.ljust(100, b"\x00") + _MODE_AND_OWNER + size + _TIME + checksum + _REST


def padding(size_bytes: int) -> bytes:
    """Returns the zero bytes that follow a file of `size_bytes` bytes in a tar: they fill the last
    512-byte block of the file."""
    return bytes(-size_bytes % BLOCK)
