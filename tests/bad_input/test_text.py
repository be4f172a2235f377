"""Captions that are not text, are cut, missing, or enormous."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bad_input.inputs import (
    CHATS,
    COCO,
    GOOD,
    LINES,
    MEMBERS,
    PHOTOS,
    PHOTOS_KEPT,
    ROWS,
    TARS,
    TSV,
    URLS,
    UTF8,
    chat,
    write_coco,
    write_lines,
)
from tests.ingest.tars import shard
from tests.make import make_image
from tests.runs import Quarantined, curate, image_digests, run_recipe, sha256


def test_a_caption_that_is_not_utf8_is_quarantined_in_every_format(photos: Path) -> None:
    latin = "caf\xe9".encode("latin-1")
    (photos / "data/x.png").write_bytes(make_image(kind="PNG"))
    (photos / "data/x.txt").write_bytes(latin)
    shard(photos / "data", [*MEMBERS, ("x.jpg", make_image()), ("x.txt", latin)])
    write_lines(photos, *ROWS, b'{"file": "0.jpg", "caption": "' + latin + b'"}')
    (photos / "data/a.tsv").write_bytes(b"0.jpg\tGood.\n1.jpg\t" + latin + b"\n")
    texts = pa.array([b"Good.", latin]).view(pa.string())
    pq.write_table(pa.table({"url": ["0.jpg", "1.jpg"], "caption": texts}),
                   photos / "data/a.parquet")  # fmt: skip
    coco = write_coco(photos, ["Good.", "Bad."])
    coco.write_bytes(coco.read_bytes().replace(b"Bad.", latin))
    pairs = PHOTOS | {"path": "data/[0-9x].*"}
    made = run_recipe(photos, pairs, TARS, LINES, TSV, URLS, COCO)
    beside = ".txt file: byte 3 is 0xe9, which is not UTF-8. Convert the caption to UTF-8."
    at = coco.read_bytes().index(b"\xe9")
    messages = {
        ("data/a.coco.json#annotations[1]", "read coco"):
            f"the byte 0xe9 at position {at} is not UTF-8. Convert the file to UTF-8.",
        ("data/a.jsonl#4", "read lines"): f"line 4, byte 33: 0xe9 {UTF8}",
        ("data/a.parquet#1", "read urls"):
            ("column 'caption': b'caf\\xe9' is not UTF-8. Correct the value, and write the "
            "table again."),
        ("data/a.tar#x", "read tars"): beside,
        ("data/a.tsv#2", "read tsv"): f"line 2, byte 9: 0xe9 {UTF8}",
        ("data/x.png", "read photos"): beside,
    }  # fmt: skip
    assert made.quarantine == [
        Quarantined(*who, "RowError", message) for who, message in messages.items()
    ]
    assert {step: account[:2] for step, account in made.accounts.items()} == {
        "read photos": (4, 3), "read tars": (4, 3), "read lines": (4, 3), "read tsv": (2, 1),
        "read urls": (2, 1), "read coco": (2, 1), "write arrow": (12, 12),
    }  # fmt: skip


def test_json_cut_in_half_loses_only_the_element_at_the_cut(base: Path) -> None:
    cut = json.dumps(ROWS[0]).encode()[:30]
    write_lines(base, *ROWS, cut)
    chats = json.dumps([chat(n, caption) for n, caption in enumerate(GOOD)])[:-50]
    (base / "data/a.chats.json").write_text(chats)
    coco = write_coco(base, [*GOOD, "Cut."])
    text = coco.read_text()[:-20]
    coco.write_text(text)
    made = run_recipe(base, LINES, CHATS, COCO)
    line = f"line 4, character 30: broken JSON: unexpected end of data, after {cut.decode()!r}. "
    inside = "the file ends inside this element, at byte {}. Correct the JSON in the file.".format
    assert made.quarantine == [
        Quarantined("data/a.chats.json#2", "read chats", "RowError", inside(len(chats))),
        Quarantined("data/a.coco.json#annotations[3]", "read coco", "RowError", inside(len(text))),
        Quarantined("data/a.coco.json#object", "read coco", "RowError", inside(len(text))),
        Quarantined("data/a.jsonl#4", "read lines", "RowError", line + "Repair the JSON."),
    ]
    assert made.captions == {
        **{f"data/a.jsonl#{n + 1}": caption for n, caption in enumerate(GOOD)},
        **{f"data/a.chats.json#{n}": caption for n, caption in enumerate(GOOD[:2])},
        **{f"data/a.coco.json#{n}": caption for n, caption in enumerate(GOOD)},
    }


def silent(base: Path) -> dict[str, None]:
    """Captions that say nothing, in four dialects; the origins of their records."""
    write_lines(base, *ROWS, {"file": "0.jpg", "caption": None}, {"file": "0.jpg"},
                {"file": "0.jpg", "caption": " "})  # fmt: skip
    images = [("x.jpg", make_image()), ("y.jpg", make_image())]
    shard(base / "data", [*MEMBERS, *images, ("y.txt", b"\n")])
    pq.write_table(pa.table({"url": ["0.jpg", "1.jpg"], "caption": ["Good.", None]}),
                   base / "data/a.parquet")  # fmt: skip
    write_coco(base, [*GOOD, None])
    names = ("jsonl#4", "jsonl#5", "jsonl#6", "tar#x", "tar#y", "parquet#1", "coco.json#3")
    return dict.fromkeys(f"data/a.{name}" for name in names)


def test_a_null_caption_makes_a_record_of_the_image_alone(base: Path) -> None:
    origins = silent(base)
    made = run_recipe(base, LINES, TARS, URLS, COCO)
    assert made.quarantine == []
    assert {o: c for o, c in made.captions.items() if c is None} == origins
    one = next(row for row in made.rows if row["origin"] == "data/a.jsonl#4")
    assert one["messages"] == [{"role": "user", "content": [{"type": "image", "text": None}]}]
    assert image_digests(one) == [sha256(make_image(64, 48, 0))]


def test_a_null_caption_is_dropped_by_words_with_its_count(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    origins = silent(base)
    made = run_recipe(base, LINES, TARS, URLS, COCO, steps=[{"words": {"min": 1}}])
    assert made.accounts["words"] == (17, 10, {"too few words": 7}, {})
    assert None not in made.captions.values()
    capsys.readouterr()
    curate(base, "show", "out", "--dropped", "-n", "99", "--json")
    dropped = json.loads(capsys.readouterr().out)
    assert {row["origin"]: (row["reason"], row["words.count"]) for row in dropped} == dict.fromkeys(
        origins, ("too few words", 0)
    )


TEXT_STEPS = ("words", "characters", "alphanumeric", "special_characters", "character_repetition",
              "word_repetition", "language")  # fmt: skip
BIG = 10_000_000


@pytest.mark.parametrize(
    "text",
    ["word " * (BIG // 5), "a" * BIG, " ".join(map(str, range(BIG // 8))), "漢" * (BIG // 3)],
    ids=["one word again and again", "one letter", "no word twice", "no spaces"],
)
def test_a_caption_of_ten_megabytes_costs_seconds_and_no_crash(base: Path, text: str) -> None:
    write_lines(base, *ROWS, {"file": "0.jpg", "caption": text})
    started = time.process_time()
    made = run_recipe(base, LINES, steps=[{step: {}} for step in TEXT_STEPS])
    assert time.process_time() - started < 30  # some 3 on two cores, most of it compiling
    assert made.quarantine == []
    assert made.captions["data/a.jsonl#4"] == text


def test_a_text_of_more_than_16_megabytes_beside_an_image_is_over_the_limit(photos: Path) -> None:
    (photos / "data/x.png").write_bytes(make_image(kind="PNG"))
    (photos / "data/x.txt").write_bytes(b"w " * (8 << 20) + b"w")
    made = run_recipe(photos, PHOTOS)
    message = (
        ".txt file: 16777217 bytes is over the limit of 16777216 bytes for a text or JSON "
        "file beside an image. The file should contain only the caption and its fields: shorten "
        "the file, or raise media.max_sidecar_bytes."
    )
    assert made.quarantine == [
        Quarantined("data/x.png", "read photos", "LimitError", message),
    ]
    assert made.captions == PHOTOS_KEPT
