"""Photos and their captions, written in every dialect of captions by other libraries than ours."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

PHOTOS = 60
MISSING = b"<html>404 Not Found</html>"
"""What a web server gave in place of the last photo."""


class Photo(NamedTuple):
    """A photo of OpenStax, with the text that says what it shows."""

    name: str
    caption: str
    data: bytes

    @property
    def url(self) -> str:
        return f"https://example.org/photos/{self.name}?width=480"


def _webdataset(folder: Path, photos: list[Photo]) -> None:
    for number, half in enumerate((photos[:30], photos[30:])):
        with tarfile.open(folder / f"{number:05d}.tar", "w") as archive:
            for photo in half:
                key = photo.name.removesuffix(".jpg")
                for end, data in (("jpg", photo.data), ("txt", photo.caption.encode())):
                    member = tarfile.TarInfo(f"{key}.{end}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def _img2dataset(folder: Path, photos: list[Photo]) -> None:
    columns = {
        "key": [photo.name[:4] for photo in photos],
        "caption": [photo.caption for photo in photos],
        "url": [photo.url for photo in photos],
        "status": ["success"] * len(photos),
        "jpg": [photo.data for photo in photos],
    }
    pq.write_table(pa.table(columns), folder / "00000.parquet", row_group_size=25)


def _hf_parquet(folder: Path, photos: list[Photo]) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": p.data, "path": p.name} for p in photos], image)
    table = pa.table({"image": images, "text": [photo.caption for photo in photos]})
    pq.write_table(table, folder / "train.parquet", row_group_size=25, compression="zstd")


def _folder(folder: Path, photos: list[Photo]) -> None:
    for photo in photos:
        (folder / photo.name).write_bytes(photo.data)
        (folder / photo.name.replace(".jpg", ".txt")).write_text(photo.caption + "\n")


def _jsonl(folder: Path, photos: list[Photo]) -> None:
    rows = ({"file": photo.name, "alt": photo.caption, "book": "openstax"} for photo in photos)
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))


def _llava(folder: Path, photos: list[Photo]) -> None:
    def turns(answer: str) -> list[dict[str, str]]:
        asked = {"from": "human", "value": "<image>\nDescribe the image."}
        return [asked, {"from": "gpt", "value": answer}]

    rows = [{"id": p.name, "image": p.name, "conversations": turns(p.caption)} for p in photos]
    (folder / "chats.json").write_text(json.dumps(rows, indent=2))


def _coco(folder: Path, photos: list[Photo]) -> None:
    images = [{"id": n, "file_name": photo.name} for n, photo in enumerate(photos)]
    annotations = [{"id": n, "image_id": n, "caption": p.caption} for n, p in enumerate(photos)]
    content = {"info": {}, "images": images, "annotations": annotations[::-1]}
    (folder / "captions.json").write_text(json.dumps(content))


def _karpathy(folder: Path, photos: list[Photo]) -> None:
    images = [
        {"filename": p.name, "split": "train", "sentences": [{"raw": p.caption}]} for p in photos
    ]
    (folder / "dataset.json").write_text(json.dumps({"dataset": "openstax", "images": images}))


def _sbu(folder: Path, photos: list[Photo]) -> None:
    columns = {"image_urls": [p.url for p in photos], "captions": [p.caption for p in photos]}
    (folder / "sbu.json").write_text(json.dumps(columns))


def _tsv(folder: Path, photos: list[Photo]) -> None:
    lines = (f"{photo.caption}\t{photo.url}" for photo in photos)
    (folder / "captions.tsv").write_text("\n".join(lines))


def _url_table(folder: Path, photos: list[Photo]) -> None:
    """The images lie where a downloader put them: by the hash of their url."""
    for photo in photos:
        name = hashlib.sha256(photo.url.encode()).hexdigest()
        (folder / f"{name}.jpg").write_bytes(photo.data)
    columns = {"URL": [p.url for p in photos], "TEXT": [p.caption for p in photos]}
    pq.write_table(pa.table(columns), folder / "laion.parquet")


def _members(folder: Path) -> int:
    names: list[str] = []
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as archive:
            names += archive.getnames()
    return sum(name.endswith(".jpg") for name in names)


def _rows(folder: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in folder.glob("*.parquet"))


def _lines(folder: Path) -> int:
    paths = [path for path in folder.iterdir() if path.suffix in (".jsonl", ".tsv")]
    return sum(len(path.read_text().splitlines()) for path in paths)


def _listed(key: str | None) -> Callable[[Path], int]:
    def count(folder: Path) -> int:
        contents = [json.loads(path.read_text()) for path in folder.glob("*.json")]
        return sum(len(content[key] if key else content) for content in contents)

    return count


class Dialect(NamedTuple):
    """How it is written, how a recipe reads it, and how many inputs lie there."""

    write: Callable[[Path, list[Photo]], None]
    source: dict[str, Any]
    count: Callable[[Path], int]


BELOW = {"media_root": "photos"}
DIALECTS = {
    "webdataset": Dialect(_webdataset, {}, _members),
    "img2dataset_parquet": Dialect(_img2dataset, {}, _rows),
    "hf_parquet": Dialect(_hf_parquet, {}, _rows),
    "folder": Dialect(_folder, {}, lambda folder: len([*folder.glob("*.jpg")])),
    "table": Dialect(_jsonl, {"text": "alt", "image": "file", **BELOW}, _lines),
    "llava": Dialect(_llava, BELOW, _listed(None)),
    "coco_captions": Dialect(_coco, BELOW, _listed("annotations")),
    "karpathy": Dialect(_karpathy, BELOW, _listed("images")),
    "sbu": Dialect(_sbu, BELOW, _listed("captions")),
    "tsv": Dialect(_tsv, BELOW, _lines),
    "url_table": Dialect(_url_table, {"media_root": "url_table"}, _rows),
}
