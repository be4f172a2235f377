"""The `shards:` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from manifests.setting_values import Bytes

FormatName = Literal["arrow", "jsonl", "webdataset", "keep_list"]


def _each_once(names: list[FormatName]) -> list[FormatName]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"these values are listed twice: {', '.join(repeated)}")
    return names


class Shards(BaseModel):
    """Settings of the shards. Sizes are bytes, or texts such as `512MB` or `64MiB`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    formats: Annotated[list[FormatName], AfterValidator(_each_once)] = Field(
        ["arrow"],
        min_length=1,
        description="file formats. arrow: for `datasets`, PyTorch and Ray; jsonl: for Qwen's "
        "fine-tuning, with media in files; webdataset: tars; keep_list: only the "
        "uids of the surviving records",
    )
    shard_bytes: Bytes = Field(
        512 << 20,
        le=1 << 30,
        description=(
            "largest average size of media and text in one shard; rows are assigned by a hash, or "
            "in equal numbers if not shuffled, so some shards are larger"
        ),
    )
    batch_rows: int = Field(100, ge=1, le=100, description="maximum rows in one Arrow record batch")
    batch_bytes: Bytes = Field(
        64 << 20,
        le=1 << 30,
        description="maximum bytes in one Arrow record batch; a larger row is a separate batch",
    )
    columns: list[str] = Field(
        default_factory=list,
        description="measures, or other columns of the record such as `raw_text`, to write as "
        "additional columns: `words.count`",
    )
    shuffle: bool = Field(
        True,
        description="order rows by a hash of (seed, id), so that a sequential read is in random "
        "order; false keeps the order of the corpus",
    )
