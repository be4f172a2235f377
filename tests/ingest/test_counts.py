"""Every reader answers for all that a source has, and counts it by another way than it reads it."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from curate import catalog
from curate.engine.counting import CountedRead
from curate.ingest.captions.folder import Folder
from curate.ingest.captions.karpathy import Karpathy
from curate.ingest.captions.llava import Llava
from curate.ingest.captions.table import Table
from curate.ingest.grounding.annotations import coco_layout
from curate.ingest.grounding.coco_instances import Coco
from curate.ingest.grounding.refcoco import RefCoco
from curate.ingest.grounding.visual_genome import VisualGenome
from curate.ingest.grounding.voc import Voc
from curate.ingest.grounding.yolo import Yolo
from curate.ingest.reader import BATCH_ROWS, Context, Reader
from manifests.media import Media
from manifests.media.blobs import BlobFile
from manifests.run.counted import Counted, total_counted
from tests.ingest.grounding.reading import PHOTO, write_files
from tests.make import splits

UNCOUNTED: dict[str, str] = {}
"""The readers that cannot count what a source has, and why."""


def counted(reader: Reader, base: Path) -> tuple[Counted, list[tuple[str, int, int]]]:
    """What the source has, and (error, units, rows) of each failure."""
    entries, failures = [], []
    for split in splits(reader, str(base)):
        read = CountedRead(reader, split, Context(str(base), Media(str(base)), BlobFile()))
        failures += [(f.error, f.units, f.counts_as) for batch in read for f in batch.failures]
        entries.append(read.counted)
        assert read.counted.balances, str(read.counted)
    [total] = total_counted(entries)
    return total, failures


def on_disk(reader: Reader, base: Path) -> int:
    context = Context(str(base), Media(str(base)), BlobFile())
    counts = [reader.count(split, context) for split in splits(reader, str(base))]
    return sum(count.units for count in counts if count)


def test_every_reader_of_the_catalog_counts() -> None:
    without = {n for n, kind in catalog.readers().items() if kind.count is Reader.count}
    assert without == set(UNCOUNTED)


def test_files_beside_an_image_are_in_its_record_or_lost_with_it(tmp_path: Path) -> None:
    write_files(
        tmp_path / "photos",
        {
            "a.jpg": PHOTO, "a.png": PHOTO, "a.txt": "One caption for both.",
            "b.jpg": PHOTO, "b.gif": b"GIF8 broken", "b.json": "{}",
            "c.jpg": b"broken", "c.txt": "Lost with its image.", "c.json": "{}",
            "d.txt": "An image is missing.", "0_stats.json": "{}",
        },
    )  # fmt: skip
    total, failures = counted(Folder(name="own", path="photos"), tmp_path)
    assert str(total) == ("files 11 = 5 in 3 records + 5 failed + 1 left aside (_stats.json 1)")
    assert sorted(failures) == [("MediaError", 1, 1), ("MediaError", 3, 1), ("RowError", 1, 1)]


@pytest.mark.parametrize("reader", [Voc, Yolo])
def test_a_file_for_each_image_is_a_record_or_a_failure(
    tmp_path: Path, reader: type[Voc | Yolo]
) -> None:
    xml = "<annotation><filename>a.jpg</filename></annotation>"
    files = {"a.jpg": PHOTO, "a.xml": xml, "b.xml": "<annota", "a.txt": "", "b.txt": "1 x"}
    write_files(tmp_path / "own", files)
    write_files(tmp_path, {"classes.txt": "dog"})
    total, failures = counted(reader(name="own", path="own"), tmp_path)
    assert str(total) == "files 2 = 1 in 1 record + 1 failed"
    assert [units for _, units, _ in failures] == [1]


def instances(images: int = 40) -> dict[str, Any]:
    annotations: list[Any] = [
        {"id": n, "image_id": n % images, "category_id": 1, "bbox": [1, 2, 3, 4 + n % 5]}
        for n in range(3 * images)
    ]
    annotations[5] = {"id": 5, "image_id": "gone", "category_id": 1, "bbox": [1, 2, 3, 4]}
    annotations[7] = {"id": 7, "image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4]}
    annotations[77] = {"id": 77, "image_id": 37, "category_id": 1, "bbox": "none"}
    annotations[9] |= {"segmentation": "none"}
    names = ["a.jpg"] * (images - 1) + ["missing.jpg"]
    return {
        "images": [{"id": n, "file_name": name} for n, name in enumerate(names)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "dog"}],
    }


@pytest.mark.parametrize("split_bytes", [1, 1 << 20])
def test_images_and_annotations_are_counted_once_for_all_splits(
    tmp_path: Path, split_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coco_layout, "SPLIT_BYTES", split_bytes)
    write_files(tmp_path, {"a.json": json.dumps(instances()), "a.jpg": PHOTO})
    reader = Coco(name="own", path="a.json", trust=True)
    assert (len(splits(reader, str(tmp_path))) > 9) == (split_bytes == 1)
    total, failures = counted(reader, tmp_path)
    # three annotations, and an image with its three
    assert str(total) == "elements 160 = 153 in 39 records + 7 failed"
    assert on_disk(reader, tmp_path) == 160
    assert sorted(failures) == [
        ("MediaError", 4, 1), ("RowError", 0, 1), ("RowError", 1, 1), ("RowError", 1, 1),
        ("RowError", 1, 1),
    ]  # fmt: skip


def test_a_file_without_categories_counts_as_the_images_that_it_hides(tmp_path: Path) -> None:
    content = {name: some for name, some in instances().items() if name != "categories"}
    write_files(tmp_path, {"a.json": json.dumps(content), "a.jpg": PHOTO})
    total, failures = counted(Coco(name="own", path="a.json"), tmp_path)
    assert str(total) == "elements 160 = 0 in 0 records + 160 failed"
    assert failures == [("RowError", 160, 40)]


def test_a_ref_is_in_a_record_or_failed_or_of_another_split(tmp_path: Path) -> None:
    def ref(number: int, *sentences: Any, split: str = "train", image: int = 1) -> dict[str, Any]:
        texts = [{"sent": text, "sent_id": n} for n, text in enumerate(sentences)]
        return {"ref_id": number, "ann_id": 1, "image_id": image, "split": split,
                "sentences": texts}  # fmt: skip

    refs = [ref(1, "a dog", ""), ref(2, "", ""), ref(3, "left one", split="val"), "no ref",
            ref(5, "the cat", image=8), ref(6, "the big one")]  # fmt: skip
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    content = instances() | {"annotations": [annotation]}
    write_files(tmp_path, {"instances.json": json.dumps(content), "a.jpg": PHOTO})
    write_files(tmp_path, {"refs.p": pickle.dumps(refs)})
    total, failures = counted(RefCoco(name="own", path="refs.p", split=("train",)), tmp_path)
    assert str(total) == (
        "elements 6 = 2 in 1 record + 3 failed + 1 left aside (ref of another split 1)"
    )
    assert sorted(units for _, units, _ in failures) == [0, 0, 1, 1, 1]


def test_an_image_with_its_regions_is_one_element(tmp_path: Path) -> None:
    box = {"x": 1, "y": 1, "width": 5, "height": 5}
    regions = [{"region_id": 1, "phrase": "a dog", **box}, {"region_id": 2, "phrase": "", **box}]
    images = [{"id": 1, "regions": regions}, {"id": 2, "regions": regions}, 3]
    write_files(tmp_path, {"a.json": json.dumps(images), "1.jpg": PHOTO})
    total, failures = counted(VisualGenome(name="own", path="a.json"), tmp_path)
    assert str(total) == "elements 3 = 1 in 1 record + 2 failed"
    assert sorted(units for _, units, _ in failures) == [0, 0, 1, 1]


def test_an_element_of_several_samples_is_in_a_record_or_failed(tmp_path: Path) -> None:
    chat = {"conversations": [{"from": "gpt", "value": "A dog."}]}
    samples = [chat, [chat, chat], [3, chat], [3, 4, 5], [6], 7]
    write_files(tmp_path, {"a.json": json.dumps(samples)})
    total, failures = counted(Llava(name="own", path="a.json"), tmp_path)
    assert str(total) == "elements 6 = 3 in 4 records + 3 failed"
    assert [(units, rows) for _, units, rows in failures] == [
        (0, 1), (1, 1), (0, 1), (0, 1), (1, 1), (1, 1),
    ]  # fmt: skip


def test_an_image_is_in_the_records_of_its_sentences_or_failed(tmp_path: Path) -> None:
    def image(name: str, *texts: str | None) -> dict[str, Any]:
        return {"filename": name, "split": "val", "sentences": [{"raw": text} for text in texts]}

    half = image("a.jpg", "One.")
    half["sentences"].append("no sentence")
    images = [image("a.jpg", "One.", "Two."), image("no.jpg", "One.", "Two."), 3, half,
              image("a.jpg")]  # fmt: skip
    write_files(tmp_path, {"a.json": json.dumps({"images": images}), "a.jpg": PHOTO})
    total, failures = counted(Karpathy(name="own", path="a.json"), tmp_path)
    assert str(total) == (
        "elements 5 = 2 in 3 records + 2 failed + 1 left aside (image without sentences 1)"
    )
    assert sorted((units, rows) for _, units, rows in failures) == [(0, 1), (0, 1), (1, 1), (1, 1)]


def test_csv_counts_the_lines_of_every_row(tmp_path: Path) -> None:
    rows = 'caption,n\n"one\n\ntwo",1\n\nthree,2\nfour\n"five ""5""",3\n"open,4\nsix,5\n'
    write_files(tmp_path, {"a.csv": rows})
    total, failures = counted(Table(name="own", path="a.csv", text=("caption",)), tmp_path)
    assert str(total) == ("lines 10 = 6 in 4 records + 2 failed + 2 left aside (blank 1, header 1)")
    assert failures == [("RowError", 1, 1), ("RowError", 1, 1)]


def test_a_file_that_changes_while_it_is_read_gives_no_more_records(tmp_path: Path) -> None:
    """The second batch is of the new content, so it may not be mixed with the first."""
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"t": "old {n}"}}\n' for n in range(BATCH_ROWS + 10)))
    reader = Table(name="a", path="a.jsonl", text="t")
    [split] = splits(reader, str(tmp_path))
    read = CountedRead(reader, split, Context(str(tmp_path), Media(str(tmp_path)), BlobFile()))
    batches = iter(read)
    assert next(batches).records.num_rows == BATCH_ROWS
    os.utime(path, ns=(0, 0))
    [[failure]] = [batch.failures for batch in batches]
    assert (failure.error, failure.units, read.records) == ("FileError", 10, BATCH_ROWS)
    assert failure.message.startswith("the file was changed while it was read.")


def test_a_file_that_is_deleted_while_it_is_read_names_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"t": "old {n}"}}\n' for n in range(BATCH_ROWS + 10)))
    reader = Table(name="a", path="a.jsonl", text="t")
    [split] = splits(reader, str(tmp_path))
    batches = iter(
        CountedRead(reader, split, Context(str(tmp_path), Media(str(tmp_path)), BlobFile()))
    )
    next(batches)
    path.unlink()
    [[failure]] = [batch.failures for batch in batches]
    assert failure.message.startswith("the file was deleted while it was read.")
    assert failure.message.endswith("Restore the file, then run again with --retry.")


@pytest.mark.parametrize(
    "reader", [Table(name="a", path="a.jsonl", text="t"), Voc(name="a", path="a.xml")]
)
def test_a_file_that_went_away_is_a_failure_of_its_own(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / reader.path).write_text("{}\n")
    [split] = splits(reader, str(tmp_path))
    (tmp_path / reader.path).unlink()
    read = CountedRead(reader, split, Context(str(tmp_path), Media(str(tmp_path)), BlobFile()))
    [failure] = [failure for batch in read for failure in batch.failures]
    assert (failure.error, failure.counts_as) == ("UnreadableError", 1)
    assert failure.message.startswith("there is no such file")
    assert read.counted.balances
