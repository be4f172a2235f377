"""The step `judge` in complete runs against a real server: scores, bad replies, and bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.engine.ray import RayExecutor
from manifests.errors import EndpointError, RecipeError
from manifests.media import Media, Reference
from manifests.record import Builder
from manifests.step import Context, Worker
from recaption.client import Client
from recaption.judge.judge import Judge
from recaption.judge.scores import DOCUMENT_CRITERIA, MAX_EVIDENCE
from tests.make import make_image
from tests.recaption.document_runs import TEXTS, bad, document_of, quarantine, rows, run
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, refusal, reply
from tests.recaption.recaption_runs import write
from tests.runs import file_bytes, row_counts

CRITERIA = {"clear": "It is clear.", "answered": "The question can be answered from it."}


def scores(clear: Any = 4, answered: Any = 5, evidence: Any = "a  quote\nof it") -> dict[str, Any]:
    return {
        "clear": {"evidence": evidence, "score": clear},
        "answered": {"evidence": "a reason", "score": answered},
    }


def scored(**changes: Any) -> Answer:
    return reply(json.dumps(scores(**changes)))


def by_number(asked: Asked) -> Answer:
    """Scores the text that ends with n by n, and the second criterion lower without images."""
    number = int(document_of(asked)[-1])
    return scored(clear=number, answered=5 if asked.images else number)


def test_each_criterion_is_a_column_with_its_evidence(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda asked: scored(clear=int(document_of(asked)[-1]))
    write(tmp_path, TEXTS[1:])
    found = rows(tmp_path, run(tmp_path, endpoint, "judge", criteria=CRITERIA))
    assert {text: row["judge.clear"] for text, row in found.items()} == {
        f"text {n}": n for n in range(1, 6)
    }
    row = found["text 3"]
    assert {name: value for name, value in row.items() if name.startswith("judge.")} == {
        "judge.clear": 3,
        "judge.clear_evidence": "a quote of it",
        "judge.answered": 5,
        "judge.answered_evidence": "a reason",
        "judge.images_left_out": 0,
        "judge.characters_left_out": 0,
        "judge.status": "scored",
        "judge.model": "test-vlm-2026",
        "judge.replies": 1,
        "judge.input_tokens": 100,
        "judge.output_tokens": 20,
    }
    [schema] = {json.dumps(one.body["response_format"]) for one in endpoint.asked}
    sent = json.loads(schema)["json_schema"]["schema"]
    assert sent["required"] == ["clear", "answered"]
    assert sent["properties"]["clear"]["properties"]["score"]["enum"] == [1, 2, 3, 4, 5]
    assert "- clear: It is clear.\n- answered: The question" in endpoint.asked[0].text
    assert '{"clear": {"evidence": "...", "score": N}, "answered"' in endpoint.asked[0].text


def test_the_criteria_of_documents_are_the_default(tmp_path: Path, endpoint: Endpoint) -> None:
    one = {"evidence": "a quote", "score": 2}
    endpoint.answer = lambda asked: reply(json.dumps(dict.fromkeys(DOCUMENT_CRITERIA, one)))
    write(tmp_path, TEXTS[:2])
    found = rows(tmp_path, run(tmp_path, endpoint, "judge"))
    assert [row["judge.density_balance"] for row in found.values()] == [2, 2]
    assert list(DOCUMENT_CRITERIA) == [
        "text_quality", "image_text_relevance", "complementarity", "density_balance",
    ]  # fmt: skip


GOOD = json.dumps(scores())
BAD: dict[str, tuple[str, str]] = {
    "half": (GOOD[:50], "not JSON"),
    "text before": (f"Sure! {GOOD}", "not JSON"),
    "text after": (f"{GOOD} I hope this helps.", "not JSON"),
    "two": (GOOD + GOOD, "not JSON"),
    "duplicate key": (GOOD.replace('"score": 4', '"score": 4, "score": 2'), "not JSON"),
    "nested": ("[" * 100_000, "not JSON"),
    "text score": (json.dumps(scores(clear="4")), "wrong type"),
    "float score": (json.dumps(scores(clear=4.0)), "wrong type"),
    "bool score": (json.dumps(scores(clear=True)), "wrong type"),
    "NaN score": (json.dumps(scores(clear=float("nan"))), "wrong type"),
    "null score": (json.dumps(scores(clear=None)), "wrong type"),
    "number evidence": (json.dumps(scores(evidence=7)), "wrong type"),
    "zero": (json.dumps(scores(clear=0)), "out of range"),
    "six": (json.dumps(scores(clear=6)), "out of range"),
    "huge number": (json.dumps(scores(clear=10**30)), "out of range"),
    "missing": (json.dumps({"clear": scores()["clear"]}), "wrong fields"),
    "extra": (json.dumps({**scores(), "more": 1}), "wrong fields"),
    "wrapped": (json.dumps({"scores": scores()}), "wrong fields"),
    "list": (json.dumps([scores()]), "wrong type"),
    "flat": ('{"clear": 4, "answered": 5}', "wrong type"),
    "no evidence": (json.dumps(scores(evidence=" ")), "no evidence"),
    "long evidence": (json.dumps(scores(evidence="x" * (MAX_EVIDENCE + 1))), "too long"),
    "huge": (json.dumps(scores(evidence="x y z " * 300_000)), "too long"),
    "nothing": ("", "empty"),
    "refusal": ("I'm sorry, but I can't help with that.", "refusal"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_reply_that_is_not_exactly_as_asked_is_asked_again_then_null(
    tmp_path: Path, endpoint: Endpoint, name: str
) -> None:
    text, fault = BAD[name]
    endpoint.answer = bad(text, scored)
    write(tmp_path, TEXTS[:3])
    found = rows(tmp_path, run(tmp_path, endpoint, "judge", criteria=CRITERIA))
    shown = {t: (r["judge.clear"], r["judge.status"], r["judge.replies"]) for t, r in found.items()}
    assert shown == {
        "text 0": (None, fault, 2), "text 1": (4, "scored", 2), "text 2": (4, "scored", 1),
    }  # fmt: skip
    assert found["text 0"]["judge.clear_evidence"] is None
    assert found["text 0"]["judge.model"] is None


def test_a_reply_that_is_cut_off_has_no_scores_though_its_json_is_complete(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = lambda asked: reply(GOOD, finish="length")
    write(tmp_path, TEXTS[:1], files=1)
    found = rows(tmp_path, run(tmp_path, endpoint, "judge", criteria=CRITERIA))
    assert found["text 0"]["judge.status"] == "cut off"


def test_bounds_drop_by_scores_and_ask_nothing_again(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda a: reply("no") if document_of(a) == "text 0" else by_number(a)
    write(tmp_path, TEXTS)

    def dropped(**settings: Any) -> dict[str, int]:
        made = run(tmp_path, endpoint, "judge", criteria=CRITERIA, **settings)
        return dict(row_counts(made)["judge"][2])

    assert dropped() == {}
    asked = len(endpoint.asked)
    assert dropped(min={"clear": 3}) == {"low clear": 2}
    assert dropped(min={"clear": 3}, unscored="drop") == {"low clear": 2, "no scores": 1}
    assert dropped(min={"clear": 5, "answered": 5}) == {"low clear": 4}
    assert len(endpoint.asked) == asked


def test_the_same_question_without_images_measures_what_they_add(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = by_number
    write(tmp_path, TEXTS[1:])
    settings = {"criteria": CRITERIA, "visual_dependency": True}
    found = rows(tmp_path, run(tmp_path, endpoint, "judge", **settings))
    column = "judge.answered_visual_dependency"
    assert {text: row[column] for text, row in found.items()} == {
        f"text {n}": 5 - n for n in range(1, 6)
    }
    assert {row["judge.clear_visual_dependency"] for row in found.values()} == {0}
    assert {row["judge.input_tokens"] for row in found.values()} == {200}
    assert {row["judge.status_without_images"] for row in found.values()} == {"scored"}
    with_images = sorted(one.text for one in endpoint.asked if one.images)
    assert with_images == sorted(one.text for one in endpoint.asked if not one.images)
    assert len(with_images) == 5
    made = run(tmp_path, endpoint, "judge", **settings, min_visual_dependency={"answered": 1})
    assert row_counts(made)["judge"][2] == {"low answered_visual_dependency": 1}
    assert len(endpoint.asked) == 10


def test_a_bad_reply_without_images_leaves_the_scores_with_images(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = lambda asked: scored() if asked.images else reply("no")
    write(tmp_path, TEXTS[:1], files=1)
    settings = {"criteria": CRITERIA, "visual_dependency": True}
    [row] = rows(tmp_path, run(tmp_path, endpoint, "judge", **settings)).values()
    assert (row["judge.clear"], row["judge.status"], row["judge.replies"]) == (4, "scored", 3)
    assert row["judge.clear_visual_dependency"] is None
    assert row["judge.status_without_images"] == "not JSON"


def test_an_interleaved_document_is_sent_in_order_and_within_its_limits(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    endpoint.answer = lambda asked: scored()
    for n in range(3):
        (tmp_path / f"{n}.jpg").write_bytes(make_image(seed=n))
    made = Builder("made", "interleaved")
    row = made.add("1", "1").text("First {format}.").image(Reference("0.jpg")).text("Second.")
    row.image(Reference("1.jpg")).image(Reference("2.jpg"))
    made.add("2", "2").image(Reference("0.jpg"))
    made.add("3", "3")
    made.add("4", "4").turn("user", "Hello").turn("assistant", "Hello")
    step = Judge(model=MODEL, endpoint=endpoint.url, criteria=CRITERIA, max_images=2,
                 max_chars=18, visual_dependency=True, max_concurrent=1)  # fmt: skip
    client = Client(step, "step judge", str(tmp_path))
    context = Context(Media(str(tmp_path)), lambda data: Reference(""),
                      model=step.load(Worker(str(tmp_path))), client=client)  # fmt: skip
    measured = step.measure(made.table().select(step.reads()), context)
    client.close()
    assert [len(one.images) for one in endpoint.asked] == [2, 0, 1]
    parts = endpoint.asked[0].body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text", "image_url", "text"]
    assert parts[0]["text"].endswith("---\nFirst {format}.")
    assert parts[2]["text"] == "Sec\n[text left out]"
    assert parts[4]["text"].startswith("[image left out]\n---\n\nThe criteria:")
    shown = {name: measured.columns[name].to_pylist() for name in (
        "images_left_out", "characters_left_out", "status", "status_without_images",
        "clear", "clear_visual_dependency")}  # fmt: skip
    assert shown["images_left_out"][:3] == [1, 0, 0]
    assert shown["characters_left_out"][:3] == [4, 0, 0]
    assert shown["status"][:3] == ["scored", "scored", "nothing to judge"]
    assert shown["status_without_images"][:3] == ["scored", None, None]
    assert shown["clear"][:3] == [4, 4, None]
    assert shown["clear_visual_dependency"][:3] == [0, None, None]
    assert measured.errors is not None
    assert measured.errors.table["kind"].to_pylist() == [None, None, None, "RowError"]


def test_only_the_chosen_records_are_asked_about(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda asked: scored()
    write(tmp_path, TEXTS[:2])
    settings = {"criteria": CRITERIA, "unscored": "drop", "only": {"modality": "interleaved"}}
    assert len(rows(tmp_path, run(tmp_path, endpoint, "judge", **settings))) == 2
    assert endpoint.asked == []


UNSUPPORTED = [
    refusal(400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported"),
    refusal(400, "This response_format type is unavailable now"),
    refusal(422, "[{'type': 'extra_forbidden', 'loc': ('body', 'response_format'), 'msg': 'Extra "
            "inputs are not permitted'}]"),
    refusal(400, "failed to parse grammar"),
]  # fmt: skip


@pytest.mark.parametrize("answer", UNSUPPORTED, ids=range(len(UNSUPPORTED)))
def test_an_endpoint_without_structured_output_stops_the_run_at_once(
    tmp_path: Path, endpoint: Endpoint, answer: Answer
) -> None:
    endpoint.answer = lambda asked: answer if "response_format" in asked.body else scored()
    write(tmp_path)
    settings = {"criteria": CRITERIA, "max_concurrent": 1}
    with pytest.raises(EndpointError, match="Set `structured: false`"):
        run(tmp_path, endpoint, "judge", **settings)
    assert len(endpoint.asked) == 1
    made = run(tmp_path, endpoint, "judge", **settings, structured=False)
    assert {row["judge.clear"] for row in rows(tmp_path, made).values()} == {4}


def test_a_refusal_that_names_the_schema_later_is_of_its_record(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    def answer(asked: Asked) -> Answer:
        return UNSUPPORTED[3] if document_of(asked) == "text 5" else scored()

    endpoint.answer = answer
    write(tmp_path, TEXTS, files=1)
    made = run(tmp_path, endpoint, "judge", criteria=CRITERIA, max_concurrent=1)
    assert row_counts(made)["judge"] == (6, 5, {}, {"ReplyError": 1})
    [row] = quarantine(tmp_path)
    assert "failed to parse grammar" in row["message"]


def test_ray_writes_the_same_bytes(
    tmp_path: Path, endpoint: Endpoint, ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.answer = by_number
    settings = {"criteria": CRITERIA, "visual_dependency": True, "min": {"clear": 2}}
    found = []
    for name, executor in (("inline", None), ("ray", RayExecutor(2))):
        write(tmp_path / name, TEXTS[1:])
        run(tmp_path / name, endpoint, "judge", executor, **settings)
        found.append(file_bytes(tmp_path / name / "out" / "shards"))
    assert found[0] == found[1]
    assert len(endpoint.asked) == 20


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "capitals": ({"criteria": {"Clear": "x"}}, "small letters, digits and _"),
    "a dot": ({"criteria": {"a.b": "x"}}, "small letters, digits and _"),
    "a measure": ({"criteria": {"status": "x"}}, "another measure named 'status'"),
    "a suffix": ({"criteria": {"a": "x", "a_evidence": "x"}}, "another measure named 'a_evidence'"),
    "none": ({"criteria": {}}, "criteria"),
    "no description": ({"criteria": {"a": ""}}, "criteria.a"),
    "unknown": ({"criteria": CRITERIA, "min": {"cleer": 3}}, "Did you mean 'clear'"),
    "out of the scale": ({"criteria": CRITERIA, "min": {"clear": 6}}, "min.clear"),
    "dependency": ({"criteria": CRITERIA, "min_visual_dependency": {"clear": 1}},
                   "needs visual_dependency: true"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_before_the_run(
    tmp_path: Path, endpoint: Endpoint, name: str
) -> None:
    settings, message = WRONG[name]
    write(tmp_path, TEXTS[:1], files=1)
    with pytest.raises(RecipeError, match=message):
        run(tmp_path, endpoint, "judge", **settings)


def test_a_prompt_that_does_not_send_the_document_is_refused(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    (tmp_path / "own.yaml").write_text(json.dumps({"name": "own", "version": 1, "text": "Judge!"}))
    write(tmp_path, TEXTS[:1], files=1)
    with pytest.raises(RecipeError, match="does not have the placeholder"):
        run(tmp_path, endpoint, "judge", prompt="own.yaml")


def test_an_own_prompt_places_the_document(tmp_path: Path, endpoint: Endpoint) -> None:
    text = "{criteria}\n{document}\nScores, please: {format}"
    own = {"name": "own", "version": 1, "text": text, "system": "You are a judge."}
    (tmp_path / "own.yaml").write_text(json.dumps(own))
    endpoint.answer = lambda asked: scored()
    write(tmp_path, TEXTS[:1], files=1)
    run(tmp_path, endpoint, "judge", prompt="own.yaml", criteria=CRITERIA)
    [asked] = endpoint.asked
    assert asked.text.startswith("You are a judge.\n- clear: It is clear.")
    assert asked.text.endswith('text 0\nScores, please: {"clear": {"evidence": "...", "score": N}, '
                               '"answered": {"evidence": "...", "score": N}}')  # fmt: skip
