"""The recipes in `recipes/` plan, show how to run them, and run on a small corpus."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curate import cli
from tests.ingest.tars import shard
from tests.make import make_image
from tests.runs import Quarantined, curate, last_answer, sha256
from tests.shipped_recipes import CAPTION, RECIPES, run_over_budget, run_shipped


def test_there_are_recipes() -> None:
    assert sorted(RECIPES) == [
        "captions", "datacomp", "duplicates", "finetune", "grounding", "judge", "knowledge",
        "locate", "qwen3vl-captions", "recaption",
    ]  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_shows_how_to_run_it(name: str) -> None:
    assert f"curate run recipes/{name}.yaml -o out/" in RECIPES[name].read_text()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_plans(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in (
        "CAPTIONS", "POOL", "IMAGES", "CONVERSATIONS", "COCO", "COCO_IMAGES", "VOC",
        "VOC_IMAGES", "SCREENS", "SCREENS_IMAGES", "JOURNAL", "VLM_MODEL", "VLM_URL",
        "SECOND_MODEL", "SECOND_URL",
    ):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ENTITIES", str(RECIPES[name].with_name("entities.csv")))
    assert curate(tmp_path, "plan", str(RECIPES[name]), "--json") == cli.OK
    passes = json.loads(capsys.readouterr().out)
    kinds = [planned["kind"] for planned in passes]
    assert kinds[0] == "read"
    assert kinds[-1] == "shards"
    assert {planned["state"] for planned in passes} == {"to run"}


def test_captions_drops_file_names_spam_other_languages_and_small_images(tmp_path: Path) -> None:
    captions = {
        "kept": CAPTION,
        "file": "IMG_0042.JPG",
        "spam": "buy now " * 20,
        "spanish": "Un perro marrón corre por la playa detrás de una pelota roja.",
    }
    members = [(f"{key}.txt", text.encode()) for key, text in captions.items()]
    images = [(f"{key}.jpg", make_image(200, 150, n)) for n, key in enumerate(captions)]
    (tmp_path / "data/web").mkdir(parents=True)
    whole = [member for pair in zip(images, members, strict=True) for member in pair]
    small = [("small.jpg", make_image(40, 40)), ("small.txt", CAPTION.encode())]
    shard(tmp_path / "data/web", [*whole, *small])
    made = run_shipped("captions", tmp_path)
    assert made.captions == {"data/web/a.tar#kept": CAPTION}
    assert {step: a[2] for step, a in made.accounts.items() if a[2]} == {
        "image_shape": {"image too small": 1},
        "language": {"other language": 2},
        "character_repetition": {"repeated characters": 1},
    }
    assert made.rows[0]["words.count"] == 11


def test_duplicates_keeps_one_record_of_the_same_image_with_nearly_the_same_text(
    tmp_path: Path,
) -> None:
    one, other = make_image(320, 240, 1), make_image(320, 240, 2)
    rows = {
        "first": (one, CAPTION),
        "again": (one, CAPTION.upper()),
        "smaller": (shrunk(one), CAPTION.replace(".", "!") + " Look"),
        "retold": (one, "Nothing here is said in the words of the others, not at all."),
        "repainted": (other, CAPTION),
    }
    members = [
        member
        for key, (data, text) in rows.items()
        for member in ((f"{key}.jpg", data), (f"{key}.txt", text.encode()))
    ]
    (tmp_path / "data/web").mkdir(parents=True)
    shard(tmp_path / "data/web", members)
    made = run_shipped("duplicates", tmp_path)
    kept = {origin.rpartition("#")[2] for origin in made.captions}
    assert kept in ({"first", "retold", "repainted"}, {"again", "retold", "repainted"})
    assert made.accounts["duplicates"][2] == {"duplicate": 1}
    assert made.accounts["duplicates-2"][2] == {"duplicate": 1}
    assert sorted(row["duplicates-2.family"] for row in made.rows) == [1, 1, 2]


def shrunk(data: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.resize((200, 150)).save(out, "JPEG", quality=80)
    return out.getvalue()


def test_datacomp_writes_the_keep_list_of_the_survivors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [sha256(str(n).encode())[:32] for n in range(4)]
    table = {
        "uid": uids,
        "url": [f"https://example.org/{n}.jpg" for n in range(4)],
        "text": [
            CAPTION,
            "too short",
            "Ein brauner Hund läuft am Strand einem Ball nach.",
            CAPTION,
        ],
    }
    for folder in ("pool", "images"):
        (tmp_path / folder).mkdir()
    pq.write_table(pa.table(table), tmp_path / "pool/0.parquet")
    for uid in uids[:3]:
        (tmp_path / f"images/{uid}.jpg").write_bytes(make_image(300, 240))
    monkeypatch.setenv("POOL", "pool")
    monkeypatch.setenv("IMAGES", "images")
    made = run_shipped("datacomp", tmp_path)
    assert made.accounts["read pool"] == (4, 3, {}, {"MediaError": 1})
    assert [last_answer(row) for row in made.rows] == [CAPTION]
    kept = np.load(tmp_path / "out/keep_list/keep_list.npy")
    assert [f"{high:016x}{low:016x}" for high, low in kept.tolist()] == [uids[0]]


def test_finetune_writes_lines_with_their_images_beside_them(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat runs?"}, {"from": "gpt", "value": CAPTION}]
    rows = [{"image": f"{n}.jpg", "conversations": turns} for n in range(200)]
    rows[7]["image"] = "gone.jpg"
    (tmp_path / "data/images").mkdir(parents=True)
    for number in range(200):
        (tmp_path / f"data/images/{number}.jpg").write_bytes(make_image(64, 48, number % 5))
    (tmp_path / "data/conversations.json").write_text(json.dumps(rows))
    made = run_shipped("finetune", tmp_path)
    fix = "Put the file there and run again with --retry, or leave it in quarantine."
    message = f"data/images/gone.jpg: there is no such file. {fix}"
    place = "data/conversations.json#7"
    assert made.quarantine == [Quarantined(place, "read chats", "MediaError", message)]
    (path,) = (tmp_path / "out/jsonl").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 199
    assert all(line["conversations"] == turns for line in lines)
    beside = [(tmp_path / "out/jsonl" / line["image"]).read_bytes() for line in lines]
    assert {sha256(data) for data in beside} == {sha256(make_image(64, 48, n)) for n in range(5)}


def test_the_line_that_finetune_shows_drops_long_conversations(tmp_path: Path) -> None:
    (tmp_path / "data/images").mkdir(parents=True)
    (tmp_path / "data/images/a.jpg").write_bytes(make_image(64, 48))
    rows = [
        {
            "image": "a.jpg",
            "conversations": [
                {"from": "human", "value": "<image>"},
                {"from": "gpt", "value": text},
            ],
        }
        for text in (CAPTION, "Numbers: " + "7" * 40_000)
    ]
    (tmp_path / "data/conversations.json").write_text(json.dumps(rows))
    text = RECIPES["finetune"].read_text()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text.replace("# - tokens:", "- tokens:"))
    made = run_over_budget(recipe, tmp_path)
    assert made.accounts["tokens"] == (2, 1, {"too many tokens": 1}, {})
    assert [last_answer(row) for row in made.rows] == [CAPTION]


def test_grounding_makes_questions_of_annotations_in_three_formats(tmp_path: Path) -> None:
    for folder in ("coco/images", "coco/annotations", "voc/Annotations", "voc/JPEGImages",
                   "screens/images"):  # fmt: skip
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(3):
        (tmp_path / f"data/coco/images/{number}.jpg").write_bytes(make_image(200, 100, number))
    boxes = [[20, 10, 40, 20], [20, 10, 40, 20.5], [100, 50, 80, 40], [0, 0, 0.1, 50]]
    split = {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in range(3)
        ],
        "annotations": [
            {"id": n, "image_id": 0, "category_id": 7, "bbox": box} for n, box in enumerate(boxes)
        ],
        "categories": [{"id": 7, "name": "Fire_Hydrant"}],
    }
    (tmp_path / "data/coco/annotations/instances_val.json").write_text(json.dumps(split))
    (tmp_path / "data/voc/JPEGImages/a.jpg").write_bytes(shrunk(make_image(200, 100, 0)))
    (tmp_path / "data/voc/Annotations/a.xml").write_text(
        "<annotation><filename>a.jpg</filename><object><name>dog</name><bndbox><xmin>1</xmin>"
        "<ymin>1</ymin><xmax>50</xmax><ymax>25</ymax></bndbox></object></annotation>"
    )
    (tmp_path / "data/screens/images/s.png").write_bytes(make_image(80, 50, 9, "PNG"))
    row = {"img_filename": "s.png", "bbox": [8, 5, 16, 5], "instruction": "close it",
           "data_type": "icon"}  # fmt: skip
    (tmp_path / "data/screens/web.json").write_text(json.dumps([row]))
    made = run_shipped("grounding", tmp_path)
    assert made.accounts["duplicates"] == (5, 4, {"duplicate": 1}, {})
    assert made.accounts["object_count"] == (5, 3, {"too few objects": 2}, {})
    assert sorted(made.captions) == [
        "data/coco/annotations/instances_val.json#0",
        "data/screens/web.json#0",
    ]
    for row in made.rows:
        labels = {"coco": "fire hydrant", "screens": "icon"}
        assert {one["label"] for one in row["objects"]} == {labels[row["source"]]}
    (asked,) = (row for row in made.rows if row["source"] == "screens")
    assert '{"bbox_2d": [100, 100, 300, 200], "label": "icon"}' in str(last_answer(asked))
    boxes_of = [row["objects"][0]["box"] for row in made.rows if row["source"] == "coco"]
    assert boxes_of == [[100, 100, 300, 300]] * 2
