"""Sources whose files name other files beside them are read from object storage as from a disk."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from curate.emit.names import ending
from curate.ingest.captions.table import Table
from curate.ingest.grounding.flickr30k import Flickr30kEntities
from curate.ingest.grounding.yolo import Yolo
from curate.ingest.reader import Reader
from manifests import storage
from manifests.run.manifest import place_of
from tests.ingest.grounding.reading import PHOTO, read_annotated
from tests.ingest.kept import read_kept

XML = (
    "<annotation><filename>9.jpg</filename><object><name>12</name><bndbox><xmin>11</xmin>"
    "<ymin>6</ymin><xmax>60</xmax><ymax>40</ymax></bndbox></object></annotation>"
)


def write(files: dict[str, bytes | str], query: str) -> None:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        storage.write_bytes(f"s3://tars/{name}{query}", data)


def labels(reader: Reader, base: Path) -> tuple[list[object], dict[str, tuple[str, str]]]:
    found = read_annotated(reader, base)
    shown = [one["objects"][0]["label"] for one in found.records.values()]
    return shown, found.failures


def test_yolo_finds_its_images_and_class_names_beside_remote_labels(
    tmp_path: Path, bucket: str
) -> None:
    files = {"y/labels/a.txt": "1 0.5 0.5 0.2 0.4", "y/images/a.jpg": PHOTO}
    write(files | {"y/data.yaml": "names: [cat, dog]"}, bucket)
    reader = Yolo(name="a", path=f"s3://tars/y/labels{bucket}")
    assert labels(reader, tmp_path) == (["dog"], {})
    named = Yolo(name="a", path=reader.path, names=f"s3://tars/y/data.yaml{bucket}")
    assert labels(named, tmp_path) == (["dog"], {})


def test_flickr30k_finds_its_sentences_beside_remote_annotations(
    tmp_path: Path, bucket: str
) -> None:
    sentences = "[/EN#12/people A dog] sits ."
    write({"Annotations/9.xml": XML, "Sentences/9.txt": sentences, "jpg/9.jpg": PHOTO}, bucket)
    reader = Flickr30kEntities(
        name="a", path=f"s3://tars/Annotations{bucket}", media_root=f"s3://tars/jpg{bucket}"
    )
    assert labels(reader, tmp_path) == (["people"], {})
    files = reader.list_files(str(tmp_path))
    beside = [file.uri for file in reader.files_beside(files, str(tmp_path))]
    assert beside == [f"s3://tars/Sentences/9.txt{bucket}"]


def test_a_cache_beside_remote_arrow_files_is_left_aside(tmp_path: Path, bucket: str) -> None:
    table = pa.table({"caption": ["a cat"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    data = sink.getvalue().to_pybytes()
    write({"s/data-0.arrow": data, "s/cache-1.arrow": data}, bucket)
    found = read_kept(Table(name="t", path=f"s3://tars/s{bucket}", text="caption"), tmp_path)
    assert sum(batch.records.num_rows for batch in found) == 1


@pytest.mark.parametrize("query", ["", "?region=r.x"])
def test_the_ending_of_a_url_is_that_of_its_path(query: str) -> None:
    assert place_of(f"s3://b/out/manifest.json{query}") == f"s3://b/out/manifest.json{query}"
    assert ending(memoryview(b"?"), f"s3://b/a.mp4{query}") == "mp4"
