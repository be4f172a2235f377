"""The section `shards:`: accepted and refused values."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from curate.emit.settings import Shards


def test_the_defaults_are_arrow_shards_of_512_mib_shuffled() -> None:
    assert Shards().model_dump(mode="json") == {
        "formats": ["arrow"],
        "shard_bytes": 512 << 20,
        "batch_rows": 100,
        "batch_bytes": 64 << 20,
        "columns": [],
        "shuffle": True,
    }


def test_sizes_may_be_strings_with_a_unit() -> None:
    shards = Shards.model_validate({"shard_bytes": "256MB", "batch_bytes": "1MiB"})
    assert (shards.shard_bytes, shards.batch_bytes) == (256_000_000, 1 << 20)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("formats", []),
        ("formats", ["parquet"]),
        ("formats", ["arrow", "arrow"]),
        ("shard_bytes", "2GiB"),
        ("shard_bytes", "many"),
        ("batch_rows", 101),
        ("batch_rows", 0),
        ("colums", ["words.count"]),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_the_setting(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Shards.model_validate({field: value})


def test_every_field_is_described() -> None:
    assert all(field.description for field in Shards.model_fields.values())
