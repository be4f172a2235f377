"""Replies that are no answer, over HTTP in complete runs: they are asked for again, then the record
keeps its text and says why. Also what becomes of texts when steps follow each other."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recaption.checks import FAULTS
from tests.make import make_image
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, good, reply
from tests.recaption.recaption_runs import TEXTS, records, run, statuses, text_of, write
from tests.runs import caption_recipe, run_engine

LONG = "A red barn stands in a field of wheat, and dark clouds gather in the sky above. "
BAD = {
    "content filter": lambda a: reply("", finish="content_filter"),
    "cut off": lambda a: reply("A long desc", finish="length"),
    "empty": lambda a: reply("  \n"),
    "role tokens": lambda a: reply(f"{LONG}<|im_end|>\n<|im_start|>user"),
    "thinking": lambda a: reply(f"<think>\nThe user wants a caption.\n</think>\n{LONG}"),
    "refusal": lambda a: reply("I'm sorry, but I can't help with that."),
    "broken characters": lambda a: reply(f"{LONG}\ufffd"),
    "preamble": lambda a: reply(f"Here is the caption:\n\n{LONG}"),
    "JSON": lambda a: reply(f'{{"caption": "{LONG}"}}'),
    "markup": lambda a: reply(f"## Barn\n{LONG}"),
    "repetition": lambda a: reply("the tree and the house, " * 200),
    "copy of the prompt": lambda a: reply(f"Yes. {a.text}"),
    "copy of the text": lambda a: reply(f" {a.raw_text.upper()}\n"),
    "too short": lambda a: reply("A red barn."),
    "too long": lambda a: reply(" ".join(str(7919 * n) for n in range(1500))),
    "wrong language": lambda a: reply(
        "一座红色的谷仓矗立在麦田里,远处的天空中乌云密布,田边停着一辆旧拖拉机。"
    ),
}


def test_every_fault_is_answered_by_the_server_in_a_test() -> None:
    assert tuple(BAD) == FAULTS


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_reply_is_asked_again_then_recorded(
    tmp_path: Path, endpoint: Endpoint, fault: str
) -> None:
    bad = {TEXTS[0], TEXTS[1]}

    def answer(asked: Asked) -> Answer:
        is_bad = asked.raw_text == TEXTS[0] or (
            asked.raw_text == TEXTS[1] and asked.body["seed"] == 0
        )
        return BAD[fault](asked) if is_bad else good(asked)

    endpoint.answer = answer
    write(tmp_path, TEXTS[:4])
    before = [{"language": {"max_chars": None}}]
    made = run(tmp_path, endpoint, before=before)
    assert statuses(tmp_path, made) == {fault: 1, "rewritten": 3}
    rows = {
        text_of(r) if r["raw_text"] is None else r["raw_text"]: r for r in records(tmp_path, made)
    }
    assert text_of(rows[TEXTS[0]]) == TEXTS[0]
    assert rows[TEXTS[0]]["recaption.model"] is None
    assert rows[TEXTS[0]]["recaption.kept_numbers"] is None
    assert {t: rows[t]["recaption.replies"] for t in bad} == {TEXTS[0]: 2, TEXTS[1]: 2}
    assert sorted(a.body["seed"] for a in endpoint.asked if a.raw_text in bad) == [0, 0, 1, 1]
    run(tmp_path, endpoint, "again", before=before)
    assert len(endpoint.asked) == 6


def test_a_refusal_may_have_a_field_of_its_own(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda a: reply(None, refusal="I cannot describe people.")
    write(tmp_path, TEXTS[:1])
    assert statuses(tmp_path, run(tmp_path, endpoint)) == {"refusal": 1}


def test_two_steps_keep_the_first_text_and_name_their_own_models(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    (tmp_path / "short.yaml").write_text("name: short\nversion: 1\ntext: 'Shorten: {raw_text}'\n")

    def answer(asked: Asked) -> Answer:
        if not asked.text.startswith("Shorten"):
            return reply(f"{LONG} It is number {asked.raw_text.split()[-1]}, not 77.")
        return reply("") if "number 2" in asked.text else reply("A red barn.", model="short-vlm")

    endpoint.answer = answer
    write(tmp_path, TEXTS[:3])
    step = {"model": MODEL, "endpoint": endpoint.url}
    steps = [{"recaption": step}, {"recaption": {**step, "prompt": "short.yaml"}}]
    made = run_engine(caption_recipe(steps=steps), tmp_path, tmp_path / "out")
    names = ["status", "model", "kept_numbers"]
    found = {
        row["raw_text"]: (
            text_of(row),
            *[row[f"{step}.{n}"] for step in ("recaption", "recaption-2") for n in names],
        )
        for row in records(tmp_path, made)
    }
    long = f"{LONG} It is number 2, not 77."
    model = f"{MODEL}-2026"
    assert found == {
        TEXTS[0]: ("A red barn.", "rewritten", model, 1.0, "rewritten", "short-vlm", 0.0),
        TEXTS[1]: ("A red barn.", "rewritten", model, 1.0, "rewritten", "short-vlm", 0.0),
        TEXTS[2]: (long, "rewritten", model, 1.0, "empty", None, None),
    }


def test_a_refined_reading_may_be_the_same_text(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path, ["TOTAL 5.00", "T0TAL 7.00"])
    endpoint.answer = lambda a: reply(a.raw_text.replace("T0", "TO"))
    made = run(tmp_path, endpoint, prompt="ocr_refinement")
    found = {row["raw_text"]: text_of(row) for row in records(tmp_path, made)}
    assert found == {"TOTAL 5.00": "TOTAL 5.00", "T0TAL 7.00": "TOTAL 7.00"}
    assert statuses(tmp_path, made) == {"rewritten": 2}


def test_the_prompt_for_knowledge_asks_for_a_description(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path, TEXTS[:2])
    endpoint.answer = lambda a: reply(LONG if a.raw_text == TEXTS[0] else LONG[:38])
    made = run(tmp_path, endpoint, prompt="knowledge")
    assert statuses(tmp_path, made) == {"rewritten": 1, "too short": 1}
    assert {"its attributes" in one.text for one in endpoint.asked} == {True}


def test_the_prompt_for_video_sends_all_frames_in_order(tmp_path: Path, endpoint: Endpoint) -> None:
    (tmp_path / "data").mkdir()
    frames = [make_image(seed=n) for n in (2, 0, 1)]
    rows = [{"caption": "a clip", "images": [{"bytes": one, "path": "1.jpg"} for one in frames]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data" / "0.parquet")
    source = {"name": "clips", "reader": "hf_parquet", "path": "data/*.parquet", "text": "caption"}
    step = {"model": MODEL, "endpoint": endpoint.url, "prompt": "video"}
    content = caption_recipe(sources=[source], steps=[{"recaption": step}])
    made = run_engine(content, tmp_path, tmp_path / "out")
    assert statuses(tmp_path, made) == {"rewritten": 1}
    [asked] = endpoint.asked
    assert "frames of one video" in asked.text
    assert asked.images == frames


def test_a_changed_expectation_asks_only_for_what_is_bad_by_it(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    own = "name: own\nversion: 1\ntext: 'Describe it: {raw_text}'\n"
    (tmp_path / "own.yaml").write_text(own)
    write(tmp_path, TEXTS[:3])
    endpoint.answer = lambda a: reply("A barn." if a.text.endswith("1") else LONG)
    run(tmp_path, endpoint, prompt="own.yaml")
    assert len(endpoint.asked) == 3
    (tmp_path / "own.yaml").write_text(own + "expects: {min_chars: 20}\n")
    made = run(tmp_path, endpoint, prompt="own.yaml")
    assert statuses(tmp_path, made) == {"rewritten": 2, "too short": 1}
    assert [one.body["seed"] for one in endpoint.asked] == [0, 0, 0, 1]
