"""`curate duplicates` and `curate explain`: the families of a run, and the path to a survivor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate import cli
from curate.inspect.families import Family, Member, largest_families
from tests.filters.duplicates.outcomes import outcomes_of_run
from tests.make import write_texts
from tests.runs import run_steps, text_source, texts_read

Capture = pytest.CaptureFixture[str]
CHAIN = [
    "one two three four five six seven eight",
    "two three four five six seven eight nine",
    "three four five six seven eight nine ten eleven",
    "five six seven eight nine ten eleven twelve",
]
TEXTS = [
    *CHAIN,
    *["a caption that many have"] * 5,
    *["another that some have"] * 3,
    *["a third " + "very " * 30 + "long one"] * 2,
    "nothing is like this",
]
MINHASH: dict[str, Any] = {"by": "minhash", "threshold": 0.7, "n": 1, "bands": 40, "rows": 3,
                           "index": True, "keep": "Score.value"}  # fmt: skip
SCORE: dict[str, Any] = {"tests.engine.pieces:Score": {}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over families of 4, 5, 3 and 2 records; the first record stays."""
    base = tmp_path_factory.mktemp("run")
    write_texts(base / "data", TEXTS, 2, score=range(len(TEXTS)))
    run_steps(base, "out", SCORE, {"duplicates": MINHASH}, {"duplicates": {"by": "text"}})
    return base


def _ids(base: Path, out: str = "out") -> dict[str, list[str]]:
    """The ids of every text."""
    found: dict[str, list[str]] = {}
    for key, text in texts_read(base, out).items():
        found.setdefault(text, []).append(key)
    return found


def answer(capsys: Capture, *arguments: object) -> tuple[int, str]:
    code = cli.run([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return code, out.out + out.err


def test_the_largest_families_and_their_least_similar_members_come_first(base: Path) -> None:
    found, output = largest_families(str(base / "out"), 10, 10), outcomes_of_run(base, "out")
    assert [(one.step, one.dropped) for one in found] == [
        ("duplicates", 4), ("duplicates", 3), ("duplicates", 2), ("duplicates", 1),
    ]  # fmt: skip
    shown = ("a caption that many have", CHAIN[0], "another that some have")
    assert tuple(one.text for one in found[:3]) == shown
    near = [round(member.similarity, 4) for member in found[1].members]
    assert near == [0.7, 0.7, 0.7778]
    for family in found:
        gone = {key for key, one in output.items() if one.survivor == family.survivor}
        assert {member.id for member in family.members} == gone
        order = [(member.similarity, member.id) for member in family.members]
        assert order == sorted(order)
        assert {(m.of, m.similarity) for m in family.members} == {
            (output[key].of, output[key].similarity) for key in gone
        }
        assert family.origin is not None
        assert family.origin.startswith("data/")


def test_the_numbers_of_families_and_members_can_be_set(base: Path) -> None:
    found = largest_families(str(base / "out"), 2, 1)
    assert [(one.dropped, len(one.members)) for one in found] == [(4, 1), (3, 1)]
    assert largest_families(str(base / "out"), 10, 3, "duplicates-2") == []
    assert len(largest_families(str(base / "out"), 10, 3, "duplicates")) == 4


def test_the_command_prints_each_family_in_a_few_lines(base: Path, capsys: Capture) -> None:
    first = _ids(base)["a caption that many have"]
    code, output = answer(capsys, "duplicates", base / "out", "--top", "1", "--members", "2")
    assert code == cli.OK
    lines = output.splitlines()
    (family,) = largest_families(str(base / "out"), 1, 2)
    assert family.survivor in first
    assert lines[0] == f"4 dropped by duplicates; kept: {family.survivor}  {family.origin}"
    assert lines[1] == "  a caption that many have"
    for line, member in zip(lines[2:4], family.members, strict=True):
        of = [] if member.of == family.survivor else ["duplicate", "of", member.of]
        assert line.split() == ["1", member.id, member.origin, *of]
    assert lines[4].strip() == "and 2 more"


def test_an_indirect_member_names_the_record_between_and_a_long_text_is_cut(
    base: Path, capsys: Capture
) -> None:
    ids = _ids(base)
    _, output = answer(capsys, "duplicates", base / "out")
    last, middle = ids[CHAIN[2]][0], ids[CHAIN[1]][0]
    (line,) = (line for line in output.splitlines() if line.split()[1:2] == [last])
    assert line.split()[0] == "0.7"
    assert line.endswith(f"  duplicate of {middle}")
    printed = output.splitlines()
    assert printed[printed.index(line) + 1].split() == CHAIN[2].split()
    (cut,) = (line for line in output.splitlines() if line.startswith("  a third"))
    assert len(cut) == 2 + 72
    assert cut.endswith("…")


def test_the_command_can_print_json(base: Path, capsys: Capture) -> None:
    code, output = answer(capsys, "duplicates", base / "out", "--json", "--members", "9")
    found = [
        Family(**{**one, "members": [Member(**member) for member in one["members"]]})
        for one in json.loads(output)
    ]
    assert code == cli.OK
    assert found == largest_families(str(base / "out"), 10, 9)


def test_an_unknown_step_and_a_run_without_duplicates(
    base: Path, capsys: Capture, tmp_path: Path
) -> None:
    code, output = answer(capsys, "duplicates", base / "out", "--step", "duplicate")
    assert code == cli.MISTAKE
    assert "no step named 'duplicate' in this run. Did you mean 'duplicates'?" in output
    write_texts(tmp_path / "data", ["one", "two"])
    run_steps(tmp_path, "out", {"duplicates": {"by": "text"}})
    assert answer(capsys, "duplicates", tmp_path / "out") == (
        cli.OK,
        "no duplicates were dropped\n",
    )
    run_steps(tmp_path, "none", {"words": {}})
    assert answer(capsys, "duplicates", tmp_path / "none") == (
        cli.OK,
        "no duplicates were dropped\n",
    )


def test_explain_follows_the_chain_to_the_survivor(base: Path, capsys: Capture) -> None:
    ids = _ids(base)
    last, third, second, first = (ids[text][0] for text in reversed(CHAIN))
    _, output = answer(capsys, "explain", base / "out", last, "--json")
    events = json.loads(output)["events"]
    assert [(event["step"], event["what"]) for event in events] == [
        ("read data", "read"), ("Score", "kept"), ("duplicates", "dropped"),
        *[("duplicates", "by way of")] * 2, ("duplicates", "survivor"),
    ]  # fmt: skip
    facts = [event["facts"] for event in events[2:]]
    assert facts[0]["reason"] == "duplicate"
    assert facts[0]["duplicates.survivor"] == first
    assert facts[0]["duplicates.of"] == third
    assert facts[0]["duplicates.family"] == 4
    assert all(one.pop("origin").startswith("data/") for one in facts[1:])
    assert facts[1:] == [
        {"id": third, "similarity": pytest.approx(0.7), "of": second},
        {"id": second, "similarity": pytest.approx(7 / 9), "of": first},
        {"id": first},
    ]
    _, output = answer(capsys, "explain", base / "out", second)
    assert "by way of" not in output
    assert f"survivor     id {first}" in output


def test_explain_names_no_family_of_a_record_that_stayed(base: Path, capsys: Capture) -> None:
    (first,) = _ids(base)[CHAIN[0]]
    _, output = answer(capsys, "explain", base / "out", first, "--json")
    whats = [(event["step"], event["what"]) for event in json.loads(output)["events"]]
    assert whats[2:] == [("duplicates", "kept"), ("duplicates-2", "kept"), ("shards", "written")]


def test_a_survivor_of_an_earlier_corpus_is_marked_as_such(base: Path, capsys: Capture) -> None:
    last = "three four five six seven eight nine ten"
    write_texts(base / "new", [CHAIN[1], last, "nothing like any"], 1, score=[1, 2, 3])
    new = {**MINHASH, "against": ["out"]}
    run_steps(base, "new-out", SCORE, {"duplicates": new}, sources=[text_source("new")])
    (family,) = largest_families(str(base / "new-out"), 10, 10)
    first = _ids(base)[CHAIN[0]][0]
    assert family[:5] == ("duplicates", first, None, None, 2)
    _, output = answer(capsys, "duplicates", base / "new-out")
    assert output.startswith(f"2 dropped by duplicates; kept: {first}  in an earlier corpus\n")
    ids = _ids(base, "new-out")
    _, output = answer(capsys, "explain", base / "new-out", ids[last][0])
    assert "in an earlier corpus" in output
    assert f"by way of    id {ids[CHAIN[1]][0]}" in output
    assert f"survivor     id {first}, origin (in an earlier corpus)" in output


def test_a_survivor_made_by_a_reshape_step_is_found(tmp_path: Path) -> None:
    write_texts(tmp_path / "data", ["one text", "another text"], 1)
    run_steps(tmp_path, "out", {"tests.engine.pieces:Twice": {}}, {"duplicates": {"by": "text"}})
    found = largest_families(str(tmp_path / "out"), 10, 10)
    assert sorted((one.origin, one.text, one.dropped) for one in found) == [
        ("data/000.jsonl#1", "one text", 1), ("data/000.jsonl#2", "another text", 1),
    ]  # fmt: skip
