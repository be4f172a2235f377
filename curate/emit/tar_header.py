"""Headers of tar members (POSIX ustar) that say nothing of the machine or the time."""

from __future__ import annotations

from manifests.errors import RowError

BLOCK = 512
END = bytes(2 * BLOCK)
_MODE_AND_OWNER = b"0000644\x00" + b"0000000\x00" * 2
_TIME = b"00000000000\x00"
_REST = (b"0" + bytes(100) + b"ustar\x0000").ljust(356, b"\x00")
_FIXED_SUM = sum(_MODE_AND_OWNER + _TIME + _REST) + 8 * ord(" ")


def header(name: str, size_bytes: int) -> bytes:
    """The 512 bytes before a file's own. Raises RowError for a name that does not fit."""
    told = name.encode()
    if len(told) > 100:
        raise RowError(f"'{name}' is longer than the 100 bytes of a tar member's name")
    size = b"%011o\x00" % size_bytes
    checksum = b"%06o\x00 " % (_FIXED_SUM + sum(told) + sum(size))
    return told.ljust(100, b"\x00") + _MODE_AND_OWNER + size + _TIME + checksum + _REST


def padding(size_bytes: int) -> bytes:
    """What fills a file's last block."""
    return bytes(-size_bytes % BLOCK)
