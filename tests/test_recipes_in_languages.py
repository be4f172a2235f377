"""What the recipes in `recipes/` and in the documentation do with texts in five languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.commands import init
from tests.ingest.tars import shard
from tests.make import make_image
from tests.runs import FinishedRun, last_answer, sha256
from tests.shipped_recipes import RECIPES, run_over_budget

LANGUAGES = {
    "english": "A brown dog runs along the beach behind a red ball.",
    "chinese": "一只橘猫趴在窗台上晒太阳",
    "japanese": "茶色の犬が赤いボールを追いかけて浜辺を走っています",
    "thai": "สุนัขสีน้ำตาลวิ่งไล่ตามลูกบอลสีแดงบนชายหาด",
    "arabic": "كلب بني يركض على الشاطئ خلف كرة حمراء",
}
BROKEN = "broken"


def four_languages() -> dict[str, tuple[bytes, str]]:
    """An image and a caption in each language, and one whose image is cut in half."""
    made = {key: (make_image(320, 240, n), text) for n, (key, text) in enumerate(LANGUAGES.items())}
    data = make_image(320, 240, 9)
    return made | {
        BROKEN: (data[: len(data) // 2], "A boat lies at the pier in the evening light.")
    }


def captions_in_a_tar(base: Path) -> None:
    (base / "data/web").mkdir(parents=True)
    members = [
        member
        for key, (image, text) in four_languages().items()
        for member in ((f"{key}.jpg", image), (f"{key}.txt", text.encode()))
    ]
    shard(base / "data/web", members)


def kept_keys(made: FinishedRun) -> set[str]:
    return {origin.rpartition("#")[2] for origin in made.captions}


def dropped_for(made: FinishedRun) -> dict[str, int]:
    """How many records were dropped for each reason, by all steps."""
    found: dict[str, int] = {}
    for account in made.accounts.values():
        found |= {reason: found.get(reason, 0) + n for reason, n in account[2].items()}
    return found


@pytest.mark.parametrize(("name", "kept", "dropped"), [
    ("captions", {"english", "chinese", "japanese"}, {"other language": 2}),
    ("duplicates", set(LANGUAGES), {}),
])  # fmt: skip
def test_captions_of_every_language_are_dropped_for_their_language_alone(
    name: str, kept: set[str], dropped: dict[str, int], tmp_path: Path
) -> None:
    captions_in_a_tar(tmp_path)
    made = run_over_budget(RECIPES[name], tmp_path)
    assert kept_keys(made) == kept
    assert dropped_for(made) == dropped
    assert [q.step for q in made.quarantine] == ["image_decodes"]


@pytest.mark.parametrize("page", ["README.md", "docs/recipe.md", "init"])
def test_recipes_that_the_documentation_shows_keep_the_languages_that_they_name(
    page: str, tmp_path: Path
) -> None:
    captions_in_a_tar(tmp_path)
    text = shown_recipe(page).replace("s3://bucket/photos", "data/photos")
    (tmp_path / "data/photos").mkdir()
    (tmp_path / "data/photos/a.jpg").write_bytes(make_image(320, 240, 20))
    (tmp_path / "data/photos/a.txt").write_text(LANGUAGES["chinese"])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    made = run_over_budget(recipe, tmp_path)
    assert kept_keys(made) - {"data/photos/a.jpg"} == {"english", "chinese", "japanese"}
    assert dropped_for(made) == {"other language": 2}
    assert [q.step for q in made.quarantine] == ["image_decodes"]


def shown_recipe(page: str) -> str:
    if page == "init":
        return init.RECIPE
    text = (Path(__file__).parents[1] / page).read_text()
    return next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.S) if "seed:" in block)


def test_conversations_of_every_language_are_kept(tmp_path: Path) -> None:
    (tmp_path / "data/images").mkdir(parents=True)
    rows = []
    for key, (image, text) in four_languages().items():
        (tmp_path / f"data/images/{key}.jpg").write_bytes(image)
        turns = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": text}]
        rows.append({"image": f"{key}.jpg", "conversations": turns})
    (tmp_path / "data/conversations.json").write_text(json.dumps(rows))
    made = run_over_budget(RECIPES["finetune"], tmp_path)
    assert {last_answer(row) for row in made.rows} == set(LANGUAGES.values())
    assert [q.step for q in made.quarantine] == ["image_decodes"]


def test_a_broken_image_is_not_in_the_keep_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of = four_languages()
    uids = [sha256(key.encode())[:32] for key in made_of]
    table = {"uid": uids, "url": [f"https://example.org/{key}.jpg" for key in made_of],
             "text": [text for _, text in made_of.values()]}  # fmt: skip
    for folder in ("pool", "images"):
        (tmp_path / folder).mkdir()
    pq.write_table(pa.table(table), tmp_path / "pool/0.parquet")
    for uid, (image, _) in zip(uids, made_of.values(), strict=True):
        (tmp_path / f"images/{uid}.jpg").write_bytes(image)
    monkeypatch.setenv("POOL", "pool")
    monkeypatch.setenv("IMAGES", "images")
    made = run_over_budget(RECIPES["datacomp"], tmp_path)
    assert [last_answer(row) for row in made.rows] == [LANGUAGES["english"]]
    assert [q.step for q in made.quarantine] == ["image_decodes"]


def test_labels_of_every_language_become_text_and_a_broken_image_does_not(
    tmp_path: Path,
) -> None:
    for folder in ("coco/images", "coco/annotations"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    labels = {"english": "dog", "chinese": "狗", "japanese": "いぬ", "thai": "สุนัข", "arabic": "كلب"}
    labels[BROKEN] = "boat"
    for key, (image, _) in four_languages().items():
        (tmp_path / f"data/coco/images/{key}.jpg").write_bytes(image)
    split = {
        "images": [
            {"id": n, "file_name": f"{key}.jpg", "width": 320, "height": 240}
            for n, key in enumerate(labels)
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": n, "bbox": [20, 10, 40, 20]}
            for n in range(len(labels))
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(labels.values())],
    }
    (tmp_path / "data/coco/annotations/instances_val.json").write_text(json.dumps(split))
    text = RECIPES["grounding"].read_text()
    start, end = text.index("  - name: voc"), text.index("steps:")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text[:start] + text[end:])
    made = run_over_budget(recipe, tmp_path)
    assert {one["label"] for row in made.rows for one in row["objects"]} == (
        set(labels.values()) - {"boat"}
    )
    assert [q.step for q in made.quarantine] == ["image_decodes"]
