"""Folders of Hugging Face's `datasets`: their data files are read, and no cache beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from curate.ingest.captions.hf_parquet import HfParquet
from curate.ingest.captions.table import Table
from curate.ingest.reader import ReadBatch
from manifests.errors import InputError
from tests.ingest.kept import kept_bytes, read_kept
from tests.make import make_image

datasets = pytest.importorskip("datasets")
ONE, TWO = make_image(64, 48), make_image(20, 10, kind="PNG")


def dataset() -> Any:
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.Value("string"),
            "kind": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )
    images = [{"bytes": one, "path": None} for one in (ONE, TWO) * 10]
    columns = {"image": images, "caption": [str(n) for n in range(20)], "kind": [0, 1] * 10}
    return datasets.Dataset.from_dict(columns, features=features)


def captions(found: list[ReadBatch]) -> list[str]:
    rows = [row for one in found for row in one.records.to_pylist()]
    return sorted(row["content"][-1]["text"] for row in rows)


WORDS = sorted(str(n) for n in range(20))


def test_a_saved_data_set_is_read_with_its_images_and_without_the_caches_beside_it(
    tmp_path: Path,
) -> None:
    dataset().save_to_disk(str(tmp_path / "in"), num_shards=3)
    first = tmp_path / "in" / "data-00000-of-00003.arrow"
    for name in ("cache-17.arrow", "data-00000-of-00002.arrow"):
        (tmp_path / "in" / name).write_bytes(first.read_bytes())
    for path in ("in", "in/*.arrow"):
        found = read_kept(HfParquet(name="hf", path=path), tmp_path)
        assert [failure for one in found for failure in one.failures] == []
        assert captions(found) == WORDS
    row = found[0].records.to_pylist()[0]
    assert kept_bytes(tmp_path, row["media"][0]) == ONE
    assert row["meta"] == '{"kind":0}'
    table = Table(name="t", path="in", text="caption")
    assert captions(read_kept(table, tmp_path)) == WORDS


def test_all_splits_of_a_saved_data_set_dict_are_read(tmp_path: Path) -> None:
    splits = {"train": dataset().select(range(15)), "test": dataset().select(range(15, 20))}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "in"))
    assert captions(read_kept(HfParquet(name="hf", path="in"), tmp_path)) == WORDS


def test_a_cache_is_read_if_it_is_the_only_arrow_file(tmp_path: Path) -> None:
    dataset().save_to_disk(str(tmp_path / "in"))
    data = (tmp_path / "in" / "data-00000-of-00001.arrow").read_bytes()
    (tmp_path / "cache-1.arrow").write_bytes(data)
    assert captions(read_kept(HfParquet(name="hf", path="cache-1.arrow"), tmp_path)) == WORDS


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"_data_files": [{"filename": "gone.arrow"}]},
            "the data file gone.arrow, which `_data_files` lists, does not exist.",
        ),
        (
            {"_indices_files": [{"filename": "i.arrow"}]},
            "this saved data set has an indices file",
        ),
    ],
)
def test_a_state_that_the_files_do_not_fit_is_an_error(
    tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    dataset().save_to_disk(str(tmp_path / "in"))
    state = tmp_path / "in" / "state.json"
    state.write_bytes(orjson.dumps(orjson.loads(state.read_bytes()) | change))
    with pytest.raises(InputError) as error:
        read_kept(HfParquet(name="hf", path="in"), tmp_path)
    assert error.value.fault.startswith(fault)
    assert error.value.place == str(state)


def test_a_data_file_that_is_taken_out_of_the_state_is_not_missed(tmp_path: Path) -> None:
    dataset().save_to_disk(str(tmp_path / "in"), num_shards=2)
    (tmp_path / "in" / "data-00001-of-00002.arrow").unlink()
    state = tmp_path / "in" / "state.json"
    with pytest.raises(InputError, match=r"remove data-00001-of-00002\.arrow from `_data_files`"):
        read_kept(HfParquet(name="hf", path="in"), tmp_path)
    fields = orjson.loads(state.read_bytes())
    del fields["_data_files"][1]
    state.write_bytes(orjson.dumps(fields))
    assert captions(read_kept(HfParquet(name="hf", path="in"), tmp_path)) == sorted(
        str(n) for n in range(10)
    )
