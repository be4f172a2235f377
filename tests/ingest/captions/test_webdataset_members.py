"""Every member of a tar is accounted for, and keys may have dots."""

import tarfile
from pathlib import Path

from curate.engine.counting import CountedRead
from curate.ingest.captions.webdataset import WebDataset
from curate.ingest.formats import tar
from curate.ingest.reader import Context, Count, Split
from manifests.media import Media
from manifests.media.blobs import BlobFile
from tests.ingest.tars import JPEG, failures, read_samples, shard


def members(*names: str) -> list[tuple[str, bytes]]:
    data = {"jpg": JPEG, "txt": b"words", "json": b'{"n": 1}', "cls": b"3"}
    return [(name, data.get(name.rpartition(".")[2], b"?")) for name in names]


def test_a_text_file_with_a_dotted_suffix_shows_that_the_key_has_a_dot(tmp_path: Path) -> None:
    keys = ("22.05", "22.06", "v1.2-cat", "plain")
    names = [f"{key}.{suffix}" for key in keys for suffix in ("jpg", "txt", "json")]
    rows = read_samples(shard(tmp_path, members(*names)), tmp_path)
    assert [(row["origin"], row["text"], row["meta"]) for row in rows] == [
        (f"a.tar#{key}", "words", {"n": 1}) for key in keys
    ]


def test_a_caption_that_may_be_of_one_image_or_of_all_is_refused(tmp_path: Path) -> None:
    reader = shard(tmp_path, members("a.0.jpg", "a.0.txt", "a.json", "b.jpg", "b.en.txt"))
    assert [(f.key, f.units, f.counts_as) for f in failures(reader, tmp_path)] == [
        ("a.tar#a", 3, 1), ("a.tar#b", 2, 1)
    ]  # fmt: skip
    message = failures(reader, tmp_path)[1].message
    assert message.startswith("it is not clear which image 'en.txt' describes: the members are ")
    named = reader.model_copy(update={"caption": ("en.txt", "0.txt")})
    assert [row["text"] for row in read_samples(named, tmp_path)] == ["words", "words"]


def test_all_members_are_counted(tmp_path: Path) -> None:
    reader = shard(tmp_path, members("a.jpg", "a.cls", "a.txt", ".b.jpg", "c", "d.txt"))
    with tarfile.open(tmp_path / "a.tar", "a") as archive:
        for name, kind in (("sub", tarfile.DIRTYPE), ("pipe.jpg", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info)
    [file] = reader.list_files(str(tmp_path))
    context = Context(str(tmp_path), Media(str(tmp_path)), BlobFile())
    read = CountedRead(reader, Split((file,)), context)
    assert [f.key for batch in read for f in batch.failures] == ["a.tar#d"]
    assert str(read.counted) == (
        "members 8 = 2 in 1 record + 1 failed + 5 left aside "
        "(.cls 1, FIFO 1, folder 1, hidden 1, name without a dot 1)"
    )
    assert reader.count(Split((file,)), context) == Count("members", 8, {"FIFO": 1, "folder": 1})


def test_a_tar_that_becomes_shorter_while_it_is_read_ends_too_early(tmp_path: Path) -> None:
    reader = shard(tmp_path, members(*(f"{n:03d}.jpg" for n in range(100))))
    assert isinstance(reader, WebDataset)
    path = tmp_path / "a.tar"
    source = tar.open_tar(str(path))
    walk = tar.members(source)
    first = next(walk)
    with path.open("r+b") as handle:
        handle.truncate(path.stat().st_size // 2)
    *others, last = walk
    assert isinstance(first, tar.Member)
    assert len(others) < 60
    assert isinstance(last, tar.Fault)
    assert "ends" in last.error.fault
