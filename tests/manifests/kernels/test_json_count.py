"""Elements counted by their commas are those that the readers find, also in damaged arrays."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from curate.ingest.formats import chunks
from curate.ingest.formats.json_elements import count_elements, elements
from curate.ingest.formats.json_splits import array_splits
from manifests.kernels import json_count
from manifests.storage import File

CASES = [
    (b"1, [2, 3]]", 1, 0), (b"]", 0, 0), (b' "a,]\\"", {"b": ","}] \n', 1, 0), (b"1, {", 1, 2)
]  # fmt: skip


@pytest.mark.parametrize(("data", "commas", "depth"), CASES)
@pytest.mark.parametrize("chunk", [1, 100])
def test_commas_between_elements_are_counted(
    data: bytes, commas: int, depth: int, chunk: int
) -> None:
    memory = json_count.new_count()
    for start in range(0, len(data), chunk):
        json_count.count(data[start : start + chunk], memory)
    found = memory[[json_count.COMMAS, json_count.DEPTH, json_count.PLACE]].tolist()
    assert found == [commas, depth, json_count.PLAIN]


@pytest.mark.parametrize("data", [b"1]2", b'"a\n"]', b"1}, 2]", b"1]]"])
def test_damage_is_reported(data: bytes) -> None:
    memory = json_count.new_count()
    json_count.count(data, memory)
    assert memory[json_count.PLACE] == json_count.IS_DAMAGED


def _damaged(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return chance.choice([
        data, data[:at] + data[at + 1 :], data[:at] + chance.choice(JUNK) + data[at:], data[:at],
    ])  # fmt: skip


JUNK = [bytes([byte]) for byte in b'[]{},":\\\n a1']
VALUES = [1, None, "a,b]", 'q"\\', {}, [], "é{", [1, {"a": [2, "]"]}], {"a,": "\n"}]


@pytest.mark.parametrize("seed", range(300))
def test_the_count_of_any_array_is_the_number_of_elements_that_are_read(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(chunks, "CHUNK_BYTES", chance.choice([1, 3, 7, 1 << 20]))
    values = [chance.choice(VALUES) for _ in range(chance.randrange(7))]
    data = json.dumps(values, indent=chance.choice([None, 1])).encode()
    data = _damaged(data, chance) or b" "
    place = tmp_path / "a.json"
    place.write_bytes(data)
    file = File(str(place), "a.json", len(data), 0)
    for split in array_splits(file, str(place), split_bytes=chance.choice([1, 5, 1000])):
        read = sum(1 for _ in elements(str(place), *split[1:]))
        assert count_elements(str(place), *split[1:]).units == read, (data, split[1:])
