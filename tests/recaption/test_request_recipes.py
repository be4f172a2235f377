"""The recipes in `recipes/` with steps that ask a model, against a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recaption.judge.scores import DOCUMENT_CRITERIA
from tests.emit import records as shards
from tests.ingest.tars import shard
from tests.make import make_image
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, reply
from tests.runs import last_answer
from tests.shipped_recipes import CAPTION, run_shipped


def test_recaption_rewrites_captions_that_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/web").mkdir(parents=True)
    members = [("a.jpg", make_image(200, 150)), ("a.txt", CAPTION.encode()),
               ("b.jpg", make_image(40, 40)), ("b.txt", CAPTION.encode())]  # fmt: skip
    shard(tmp_path / "data/web", members)
    with Endpoint().serving() as endpoint:
        monkeypatch.setenv("VLM_URL", endpoint.url)
        made = run_shipped("recaption", tmp_path)
    [row] = made.rows
    assert "with the mark" in (last_answer(row) or "")
    assert (row["recaption.status"], row["recaption.model"]) == ("rewritten", f"{MODEL}-2026")
    assert endpoint.texts == [CAPTION]


def test_judge_keeps_captions_that_its_scores_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/web").mkdir(parents=True)
    members = [("a.jpg", make_image(200, 150)), ("a.txt", CAPTION.encode()),
               ("b.jpg", make_image(200, 150, 1)), ("b.txt", b"Buy now.")]  # fmt: skip
    shard(tmp_path / "data/web", members)

    def answer(asked: Asked) -> Answer:
        score = {"evidence": "a quote", "score": 4 if CAPTION in asked.text else 2}
        return reply(json.dumps(dict.fromkeys(DOCUMENT_CRITERIA, score)))

    with Endpoint(answer).serving() as endpoint:
        monkeypatch.setenv("VLM_URL", endpoint.url)
        made = run_shipped("judge", tmp_path)
    [row] = made.rows
    assert last_answer(row) == CAPTION
    assert {row[f"judge.{name}"] for name in DOCUMENT_CRITERIA} == {4}
    assert made.accounts["judge"][2] == {"low image_text_relevance": 1}


def test_locate_makes_questions_of_objects_on_which_two_replies_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/photos").mkdir(parents=True)
    (tmp_path / "data/photos/a.jpg").write_bytes(make_image(200, 150, 1))
    (tmp_path / "data/photos/b.jpg").write_bytes(make_image(200, 100, 2))

    def answer(asked: Asked) -> Answer:
        wrong = {"bbox_2d": [0, 0, 99, asked.body["seed"] + 9], "label": "food"}
        right = {"bbox_2d": [100, 200, 300, 400], "label": "plant"}
        return reply(json.dumps([right, wrong] if asked.sizes == [(200, 150)] else [wrong]))

    with Endpoint(answer).serving() as endpoint:
        for variable in ("VLM_URL", "SECOND_URL"):
            monkeypatch.setenv(variable, endpoint.url)
        made = run_shipped("locate", tmp_path)
    [row] = made.rows
    assert '{"bbox_2d": [100, 200, 300, 400], "label": "plant"}' in str(last_answer(row))
    assert "food" not in str(last_answer(row))
    assert row["locate_agreement.status"] == "partly agreed"
    assert made.accounts["grounding_text"][2] == {"no objects": 1}


def test_judge_sends_a_document_of_a_tar_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [make_image(200, 150, n) for n in (1, 2)]
    (tmp_path / "tars").mkdir()
    first, second = shards.tar(tmp_path / "tars/in.tar", images)
    content = [shards.text("First."), shards.medium(0), shards.text("Second."), shards.medium(1)]
    document = shards.row("1", content, first, second)
    shards.write("webdataset", tmp_path / "tars", shards.records(document, modality="interleaved"))
    score = {"evidence": "a quote", "score": 5}
    scores = json.dumps(dict.fromkeys(DOCUMENT_CRITERIA, score))
    monkeypatch.setenv("CAPTIONS", str(tmp_path / "tars/out"))
    with Endpoint(lambda asked: reply(scores)).serving() as endpoint:
        monkeypatch.setenv("VLM_URL", endpoint.url)
        made = run_shipped("judge", tmp_path)
    [asked] = endpoint.asked
    assert asked.images == images
    kinds = [part["type"] for part in asked.body["messages"][0]["content"]]
    assert kinds == ["text", "image_url", "text", "image_url", "text"]
    assert [row["judge.density_balance"] for row in made.rows] == [5]
    assert [row["modality"] for row in made.rows] == ["interleaved"]
