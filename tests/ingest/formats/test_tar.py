"""What `tarfile` finds in a tar, and where, is what we find; a broken one loses nothing whole."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.ingest.formats import tar
from curate.ingest.formats.random_access import BlockCache, LocalFile
from curate.ingest.formats.tar import Fault, Member
from curate.ingest.formats.tar_header import BLOCK
from manifests.errors import InputError

FORMATS: dict[str, Literal[0, 1, 2]] = {
    "ustar": tarfile.USTAR_FORMAT,
    "gnu": tarfile.GNU_FORMAT,
    "pax": tarfile.PAX_FORMAT,
}


def packed(
    files: dict[str, bytes], kind: str = "pax", pax_headers: dict[str, str] | None = None
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=FORMATS[kind], pax_headers=pax_headers
    ) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def listed(data: bytes) -> list[Member | Fault]:
    return list(tar.members(memoryview(data)))


def places(found: list[Member | Fault]) -> list[tuple[str | None, int, int]]:
    return [(m.name, m.offset, m.size) for m in only_members(found)]


def by_tarfile(data: bytes) -> list[tuple[str, int, int]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(m.name, m.offset_data, m.size) for m in archive if m.isreg()]


def only_members(found: list[Member | Fault]) -> list[Member]:
    return [m for m in found if isinstance(m, Member)]


def faults(found: list[Member | Fault]) -> list[str]:
    return [str(m.error) for m in found if isinstance(m, Fault)]


parts = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1)
names = st.lists(parts, min_size=1, max_size=6).map("/".join).filter(lambda n: len(n) < 400)
archives = st.dictionaries(names, st.binary(max_size=1500), max_size=6)


@settings(max_examples=150)
@given(files=archives, kind=st.sampled_from(["gnu", "pax"]))
def test_members_are_those_that_tarfile_finds(files: dict[str, bytes], kind: str) -> None:
    data = packed(files, kind)
    found = listed(data)
    assert places(found) == by_tarfile(data)
    assert [data[m.offset : m.offset + m.size] for m in only_members(found)] == list(files.values())


@settings(max_examples=60)
@given(folder=st.text("ab/", min_size=100, max_size=150), name=st.text("cd.", min_size=1))
def test_a_ustar_prefix_is_part_of_the_name(folder: str, name: str) -> None:
    data = packed({f"{folder.strip('/') or 'a'}/{name}": b"x"}, "ustar")
    assert places(listed(data)) == by_tarfile(data)


@settings(max_examples=150)
@given(files=archives, kind=st.sampled_from(["gnu", "pax"]), where=st.floats(0, 1))
def test_a_cut_tar_gives_every_complete_member_and_then_one_fault(
    files: dict[str, bytes], kind: str, where: float
) -> None:
    data = packed({**files, "last": b"x" * 700}, kind)
    whole = only_members(listed(data))
    cut = int(where * (whole[-1].offset + BLOCK + 300))
    found = listed(data[:cut])
    assert found[:-1] == [m for m in whole if m.offset + m.size <= cut]
    [fault] = faults(found)
    assert "ends too early" in fault or "without an end marker" in fault


def test_the_fault_of_a_cut_member_has_its_name_and_the_bytes_left() -> None:
    data = packed({"a.jpg": b"x" * 600, "b.jpg": b"y" * 1000})
    [whole, cut] = listed(data[: 512 + 1024 + 512 + 300])
    assert isinstance(cut, Fault)
    assert whole == Member("a.jpg", 512, 600, 0)
    assert (cut.name, str(cut.error)) == (
        "b.jpg",
        (
            "the tar ends too early: it has 300 of 1000 bytes of 'b.jpg'. Download or create the "
            "tar again."
        ),
    )


def test_a_tar_without_an_end_marker_may_be_cut() -> None:
    data = packed({"a": b"x"})[: 2 * BLOCK]
    assert faults(listed(data)) == [
        (
            "the tar ends at byte 1024 without an end marker: it may be incomplete. Download or "
            "create the tar again."
        )
    ]


def test_something_after_the_end_marker_is_a_fault() -> None:
    data = packed({"a": b"x"})
    assert faults(listed(data + data)) == [
        (
            f"the {2 * len(data) - 1024} bytes of the tar from its end marker on, which is at byte "
            "1024, are not all zeros. Download or create the tar again."
        )
    ]


def test_a_long_tar_after_the_end_marker_is_not_taken_for_zeros() -> None:
    [fault] = faults(listed(packed({"a": b"x"}) + packed({"b": b"x" * (2 << 20)})))
    assert "not all zeros" in fault


def test_a_tar_of_too_many_zeros_is_not_an_empty_one() -> None:
    data = packed({"a": b"x"})[:1024] + bytes(2 << 20)
    assert faults(listed(data)) == [
        (
            "the 2097152 bytes of the tar from its end marker on, which is at byte 1024, are more "
            "than the limit of 1048576. Download or create the tar again."
        )
    ]


def test_a_header_whose_checksum_disagrees_ends_the_reading() -> None:
    data = bytearray(packed({"a": b"x", "b": b"y", "c": b"z"}))
    data[1024 + 5] ^= 1
    found = listed(bytes(data))
    assert places(found) == [("a", 512, 1)]
    assert faults(found) == [
        (
            "the header at byte 1024 is not valid: its checksum is wrong. Download or create the "
            "tar again."
        )
    ]


@pytest.mark.parametrize("width", ["%06o\0 ", "%07o\0", "%6o\0 ", "0%06o "])
def test_checksums_are_read_in_every_notation(width: str) -> None:
    header = bytearray(packed({"a.jpg": b""}))
    total = sum(header[:148]) + 8 * 32 + sum(header[156:512])
    header[148:156] = (width % total).encode()
    assert listed(bytes(header)) == [Member("a.jpg", 512, 0, 0)]


def test_a_signed_checksum_of_an_old_tar_is_right_too() -> None:
    header = bytearray(packed({"é.jpg": b""}, "gnu"))
    signed = sum(b - 256 * (b > 127) for b in [*header[:148], *b" " * 8, *header[156:512]])
    header[148:156] = b"%06o\0 " % signed
    assert listed(bytes(header)) == [Member("é.jpg", 512, 0, 0)]


@pytest.mark.parametrize("kind", ["gnu", "pax"])
def test_sizes_over_8_gib_are_read_from_base_256_or_pax(tmp_path: Path, kind: str) -> None:
    path, size = tmp_path / "huge.tar", (9 << 30) + 5
    info = tarfile.TarInfo("huge.bin")
    info.size = size
    header = info.tobuf(FORMATS[kind])
    with path.open("wb") as out:  # a hole stands for the data
        out.write(header)
        out.seek(-(-(len(header) + size) // 512) * 512)
        out.write(packed({"small.jpg": b"abc"}))
    after = len(header) + size + 507
    assert list(tar.members(tar.open_tar(str(path)))) == [
        Member("huge.bin", len(header), size, 0),
        Member("small.jpg", after + 512, 3, after),
    ]


def test_a_split_reads_the_members_whose_headers_start_in_it() -> None:
    data = packed({"x" * 150: b"1", "b": b"2", "y" * 150: b"3"})
    view, whole = memoryview(data), listed(data)
    starts = [m.start for m in whole]
    assert list(tar.members(view, 0, starts[1])) == whole[:1]
    assert list(tar.members(view, starts[1], starts[2])) == whole[1:2]
    assert list(tar.members(view, starts[2])) == whole[2:]


def test_global_headers_are_skipped() -> None:
    data = packed({"a.jpg": b"x"}, pax_headers={"comment": "a commit"})
    assert places(listed(data)) == by_tarfile(data) == [("a.jpg", 1536, 1)]


def test_a_global_header_that_names_every_member_is_refused() -> None:
    data = packed({"a.jpg": b"x"}, pax_headers={"path": "all"})
    assert faults(listed(data)) == [
        (
            "the extended header at byte 0 is broken: b'12 path=all\\n'. Download or create the "
            "tar again."
        )
    ]


@pytest.mark.parametrize("body", [b"no length", b"5 a", b"99 path=a\n", b"8 path=a\n", b"-1 a=b\n"])
def test_a_broken_pax_header_ends_the_reading(body: bytes) -> None:
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(body)
    data = info.tobuf() + body.ljust(512, b"\0") + packed({"a.jpg": b"x"})
    assert faults(listed(data)) == [
        f"the extended header at byte 0 is broken: {body!r}. Download or create the tar again."
    ]


def test_an_extended_header_of_a_gibibyte_is_a_fault() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    data = info.tobuf() + bytes(4096)
    assert faults(listed(data)) == [
        (
            "the extended header at byte 0 states a size of 1073741824 bytes, more than the limit "
            "of 1048576. Download or create the tar again."
        )
    ]


def test_links_are_faults_and_folders_are_skipped() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in [("d", tarfile.DIRTYPE), ("p", tarfile.FIFOTYPE)]:
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info)
        link = tarfile.TarInfo("b.jpg")
        link.type, link.linkname = tarfile.LNKTYPE, "a.jpg"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("c.jpg"))
    found = listed(out.getvalue())
    assert places(found) == [("c.jpg", 2048, 0)]
    assert [(m.name, str(m.error)) for m in found if isinstance(m, Fault)] == [
        (
            "b.jpg",
            (
                "'b.jpg' is a link to 'a.jpg', and has no bytes of its own. Create the tar again "
                "with --dereference --hard-dereference and without --sparse."
            ),
        )
    ]


def test_a_sparse_file_is_a_fault_and_the_next_member_is_found() -> None:
    sparse = tarfile.TarInfo("holes.bin")
    sparse.type, sparse.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1  # one more block of the map follows
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    data = bytes(header) + bytes(512) + b"x" * 512 + packed({"a.jpg": b"y"})
    found = listed(data)
    assert places(found) == [("a.jpg", 2048, 1)]
    assert [m.name for m in found if isinstance(m, Fault)] == ["holes.bin"]


def test_a_name_that_is_not_utf8_keeps_its_bytes_in_escapes() -> None:
    data = bytearray(packed({"aXb.jpg": b""}, "gnu"))
    data[1], total = 0xE9, sum(data[:148]) - ord("X") + 0xE9 + 8 * 32 + sum(data[156:512])
    data[148:156] = b"%06o\0 " % total
    assert listed(bytes(data)) == [Member("a\\xe9b.jpg", 512, 0, 0)]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "the file is not a tar: it is empty."),
        (
            b"\x1f\x8b" + b"x" * 600,
            "the tar is compressed with gzip: a record cannot refer to byte ranges in it.",
        ),
        (b"hello, wo" * 100, "the file is not a tar: it starts with b'hello, w'."),
        (
            packed({"a": b"x"})[:300],
            r"the file is not a tar: it starts with b'a\x00\x00\x00\x00\x00\x00\x00'.",
        ),
    ],
)
def test_anything_but_a_tar_is_refused(tmp_path: Path, data: bytes, fault: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        tar.open_tar(str(path))
    assert str(refused.value) == (
        f"{path}: {fault} Set the path of the source to tars that are not compressed."
    )


def test_an_empty_tar_has_no_members_and_no_fault() -> None:
    assert listed(packed({})) == []


@pytest.mark.parametrize("block_bytes", [512, 1000, 4096, 1 << 20])
def test_a_remote_tar_reads_the_same_through_a_cache_of_blocks(
    tmp_path: Path, block_bytes: int
) -> None:
    data = packed({f"{'long/' * 30}{n:03d}.jpg": bytes([n]) * n * 40 for n in range(60)})
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pa.OSFile(str(path)) as file:
        source = BlockCache(file, block_bytes=block_bytes)
        found = only_members(list(tar.members(source)))
        assert found == listed(data)
        assert [bytes(source[m.offset : m.offset + m.size]) for m in reversed(found)] == [
            data[m.offset : m.offset + m.size] for m in reversed(found)
        ]


@pytest.mark.parametrize("sizes", [[0, 1, 40], [700, 3000], [40_000, 10, 10, 300_000]])
def test_a_local_tar_reads_the_same_through_windows_of_any_size(
    tmp_path: Path, sizes: list[int]
) -> None:
    data = packed({f"{n:04d}.jpg": bytes([n % 251]) * sizes[n % len(sizes)] for n in range(400)})
    (tmp_path / "a.tar").write_bytes(data)
    source = LocalFile(str(tmp_path / "a.tar"))
    found = []
    for member in tar.members(source):  # readers take bytes between two headers
        assert not isinstance(member, tar.Fault)
        found.append(member)
        for one in found[-3:]:
            assert source[one.offset : one.offset + one.size] == data[one.offset :][: one.size]
    assert found == listed(data)


def test_headers_that_lie_together_are_read_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda *a: reads.append(a[1]) or pread(*a))
    for size, most in ((100, 20), (100_000, 210)):
        (tmp_path / "a.tar").write_bytes(packed({f"{n}.txt": b"x" * size for n in range(200)}))
        reads.clear()
        assert tar.count_members(tar.open_tar(str(tmp_path / "a.tar"))).units == 200
        assert len(reads) <= most
    assert sum(reads) <= 211 * 4096  # the bytes of large members are not read


def test_real_tars_hold_what_tarfile_finds(real_data: Path) -> None:
    tars = sorted(real_data.glob("captions/**/*.tar"))
    assert len(tars) >= 5
    for path in tars:
        assert places(list(tar.members(tar.open_tar(str(path))))) == by_tarfile(path.read_bytes())
