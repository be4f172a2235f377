"""Cases of sources: what is read, lost or refused."""

from __future__ import annotations

import os
import sys

from tests.cases.case import Case, Check, Out, equal, has


def big_integers(case: Case) -> None:
    first, second, third = (row["meta"] for row in case.good_run().records())
    equal(first["uid"], 340282366920938463463374607431768211455)
    equal(second["uid"], 18446744073709551616)
    equal(first["device"], -80241446968629135069)
    equal(third["uid"], first["uid"])


def broken_symlink(case: Case) -> None:
    case.command("sh", "mk.sh")
    out = case.good_run()
    equal(out.counts("read s"), (2, 1, 1))
    equal([one.origin for one in out.finished.quarantine], ["in/gone.jpg"])


def csv_long_field(case: Case) -> None:
    texts = case.good_run().texts()
    equal((len(texts), len(texts[1] or "")), (3, 232889))


def csv_open_quote(case: Case) -> None:
    out = case.good_run()
    equal(out.counts("read t"), (6000, 5999, 1))
    has(out.finished.quarantine[0].message, "line 12")


def dotted_keys(case: Case) -> None:
    records = case.good_run().records()
    origins = [row["origin"].partition("#")[2] for row in records]
    equal(sorted(origins), ["22.05", "22.06", "plain", "v1.2-cat"])
    assert all(len(row["media"]) == 1 and row["meta"] for row in records)
    equal(len({row["content"][-1]["text"] for row in records} - {None}), 4)


def fifo(case: Case) -> None:
    os.mkfifo(case.folder / "in/pipe.jpg")
    out = case.good_run()
    equal(out.counts("read s"), (2, 1, 1))
    has(out.finished.quarantine[0].message, "not to a regular file")


def json_array_of_captions(case: Case) -> None:
    equal(len(case.good_run("recipe2.yaml", out="two").records()), 2)
    done = case.run()
    equal(done.code, 1)
    has(done.text, "table")


def json_lines_with_nan(case: Case) -> None:
    records = {row["origin"]: row["meta"] for row in case.good_run().records()}
    equal(records.get("in/t.jsonl#2"), {"score": None})


def jsonl_first_line_cut(case: Case) -> None:
    out = case.good_run()
    equal(out.counts("read s"), (1004, 1003, 1))
    equal([one.origin for one in out.finished.quarantine], ["in/b.jsonl#1"])


def linked_folder(case: Case) -> None:
    case.command("sh", "mk.sh")
    names = [row["origin"] for row in case.good_run().records()]
    wanted = ["data/one.jpg", "data/own.jpg", *(f"data/photos/a{n}.jpg" for n in range(3))]
    equal(sorted(names), wanted)


def parquet_binary_view(case: Case) -> None:
    for path, count in {"two": 2, "twelve": 12, "bare": 2}.items():
        out = case.good_run("recipe.yaml", "--set", f"sources.two.path={path}", out=f"out-{path}")
        equal([len(row["media"]) for row in out.records()], [1] * count)


def parts_that_name_their_image(case: Case) -> None:
    shown = case.good_run().images()
    equal(shown, [["p2.jpg"], ["p1.jpg", "p0.jpg"], ["p1.jpg", "p0.jpg"]])


def table_text_empty_without_image(case: Case) -> None:
    equal(case.run().code, 2)


def tsv_quoted_by_a_data_frame(case: Case) -> None:
    texts = case.good_run().texts()
    right = [
        "a plain caption",
        'a sign that says "OPEN" in neon',
        "two lines\nof a poem",
        "a tab\there",
    ]
    equal(texts, right * 2)


def unreadable_folder(case: Case) -> None:
    """The run has not the right of root to look into any folder."""
    (case.folder / "in/sub").chmod(0)
    without = "--bounding-set=-dac_override,-dac_read_search"
    words = ("run", "recipe.yaml", "-o", "out", "--inline", "-q")
    done = case.command("setpriv", without, sys.executable, "-m", "curate", *words)
    assert "Traceback" not in done.text, done.text[-600:]
    if done.code == 0:
        faults = {one.origin: one.message for one in Out(case.folder / "out").finished.quarantine}
        has(faults.get("in/sub", "nothing"), "ermission")


def chat_through_webdataset(case: Case) -> None:
    chat = case.good_run().records()
    case.write(
        "again.yaml", "name: x\nsources: [{name: s, reader: webdataset, path: out/webdataset}]\n"
    )
    again = case.good_run("again.yaml", out="again").records()
    turns = [[(s["kind"], s["text"], s["role"]) for s in row["content"]] for row in (*chat, *again)]
    equal(turns[: len(chat)], turns[len(chat) :])


CHECKS: dict[str, Check] = {
    one.__name__: one
    for one in (
        big_integers, broken_symlink, chat_through_webdataset, csv_long_field, csv_open_quote,
        dotted_keys, fifo, json_array_of_captions, json_lines_with_nan, jsonl_first_line_cut,
        linked_folder, parquet_binary_view,
        table_text_empty_without_image, tsv_quoted_by_a_data_frame, unreadable_folder,
    )
}  # fmt: skip
CHECKS["parts_that_name_their_picture"] = parts_that_name_their_image
