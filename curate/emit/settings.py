"""The `shards:` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field

FormatName = Literal["arrow", "jsonl", "webdataset", "keep_list"]


def _each_once(names: list[FormatName]) -> list[FormatName]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"named twice: {', '.join(twice)}")
    return names


class Shards(BaseModel):
    """What is written for the trainer. Sizes are bytes, or texts such as `512MB` or `64MiB`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    formats: Annotated[list[FormatName], AfterValidator(_each_once)] = Field(
        ["arrow"],
        min_length=1,
        description="arrow: for `datasets`, PyTorch and Ray; jsonl: Qwen's fine-tuning files with "
        "media beside them; webdataset: tars; keep_list: the uids of the survivors alone",
    )
    shard_bytes: ByteSize = Field(
        ByteSize(512 << 20),
        ge=1,
        le=1 << 30,
        description="media and text of one shard, about: rows are dealt to shards by hash",
    )
    batch_rows: int = Field(100, ge=1, le=100, description="most rows in one Arrow record batch")
    batch_bytes: ByteSize = Field(
        ByteSize(64 << 20),
        ge=1,
        le=1 << 30,
        description="most bytes in one Arrow record batch; a larger row has a batch to itself",
    )
    columns: list[str] = Field(
        default_factory=list,
        description="measures to write beside the record, such as `words.count`",
    )
    shuffle: bool = Field(
        True,
        description="order rows by a hash of (seed, id), so that reading in sequence is reading at "
        "random; false keeps the order of the corpus",
    )
