"""What shards hold comes back when our own readers read them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.emit.settings import FormatName
from curate.ingest.captions.hf_parquet import HfParquet
from curate.ingest.captions.llava import Llava
from curate.ingest.captions.webdataset import WebDataset
from curate.ingest.reader import Reader
from manifests.media import Media, references
from manifests.record import media_lists
from tests.emit.records import IMAGES, medium, row, tar, text, write
from tests.emit.records import records as new_records
from tests.ingest.kept import read_kept

ROLES = st.sampled_from([None, "user", "assistant", "system", "tool"])
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
META = st.none() | st.dictionaries(st.text(max_size=5), st.integers(0, 99) | TEXTS, min_size=1)
OBJECTS = st.lists(
    st.fixed_dictionaries(
        {"label": st.none() | TEXTS, "box": st.none() | st.just([1.5, 2.0, 500.25, 1000.0])}
    ),
    max_size=2,
)


@st.composite
def rows(draw: st.DrawFn, key: str, media: list[dict[str, Any]]) -> Any:
    """A record of some images, all shown, and texts, with any roles and losses."""
    count = draw(st.integers(1, len(media)))
    words = [text(one) for one in draw(st.lists(TEXTS, max_size=3))]
    content = draw(st.permutations([None] * count + words))
    numbers = iter(range(count))
    segments = [dict(one or medium(next(numbers))) for one in content]
    has_roles = draw(st.booleans())
    for one in segments:
        one["role"] = draw(ROLES) if has_roles else None
        one["loss"] = one["kind"] == "text" and draw(st.booleans())
    objects = [{**one, "media": 0} for one in draw(OBJECTS)]
    meta = draw(META)
    return row(
        key,
        segments,
        *media[:count],
        objects=objects,
        language=draw(st.sampled_from([None, "de"])),
        meta=None if meta is None else json.dumps(meta),
    )


def read(reader: Reader, folder: Path) -> pa.Table:
    found = read_kept(reader, folder)
    assert [failure for one in found for failure in one.failures] == []
    return pa.concat_tables([one.records for one in found])


def images(table: pa.Table, folder: Path) -> list[bytes]:
    media = Media(str(folder), str(folder))
    flat = media_lists(table["media"])[1]
    return [bytes(media.read(ref)) for ref in references(flat)]


def by_former_id(table: pa.Table) -> dict[str, dict[str, Any]]:
    found = {}
    for one in table.to_pylist():
        meta = json.loads(one["meta"])
        former = meta.pop("curate.from")["id"]
        found[former] = {"content": one["content"], "objects": one["objects"], "meta": meta}
        found[former] |= {name: one[name] for name in ("modality", "language")}
    return found


@settings(max_examples=60)
@given(st.data())
def test_records_that_go_out_as_tars_come_back_as_the_same_records(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        media = tar(folder / "in.tar", IMAGES)
        modality = data.draw(st.sampled_from(["caption", "chat", "grounding"]))
        table = new_records(*(data.draw(rows(f"{n}", media)) for n in range(2)), modality=modality)
        write("webdataset", folder, table)
        back = read(WebDataset(name="back", path="out"), folder)
        assert images(back, folder) == images(table, folder)
        assert by_former_id(back) == {
            one["id"]: {
                "content": one["content"],
                "objects": one["objects"],
                "meta": json.loads(one["meta"] or "{}"),
                "modality": modality,
                "language": one["language"],
            }
            for one in table.to_pylist()
        }


CHAT = [
    medium(0, "user"),
    text("What is <this>?", "user"),
    medium(1, "user"),
    text("Two images.", "assistant"),
    text("And now?", "user"),
    text("Nothing.", "assistant"),
]


def chats(folder: Path) -> pa.Table:
    media = tar(folder / "in.tar", IMAGES)
    return new_records(
        row("a", CHAT, *media[:2]), row("b", CHAT, *media[1:], meta='{"w": 1}'), modality="chat"
    )


def test_chats_of_all_formats_come_back_with_their_images_texts_roles_and_losses(
    tmp_path: Path,
) -> None:
    table = chats(tmp_path)
    readers: dict[FormatName, Reader] = {
        "webdataset": WebDataset(name="back", path="out/*.tar"),
        "arrow": HfParquet(name="back", path="out/*.arrow"),
        "jsonl": Llava(name="back", path="out/*.jsonl", media_root="out"),
    }
    for name, reader in readers.items():
        write(name, tmp_path, table)
        back = read(reader, tmp_path)
        assert back["content"].to_pylist() == table["content"].to_pylist()
        assert back["modality"].to_pylist() == ["chat", "chat"]
        assert images(back, tmp_path) == images(table, tmp_path)
