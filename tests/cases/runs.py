"""Cases of runs: their folders, their settings, what they print, and what stops them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from manifests.run import manifest
from tests.cases.case import Case, Check, Out, equal, has
from tests.make import make_image

REPOSITORY = Path(__file__).resolve().parents[2]
ONE_TABLE = "name: x\nsources: [{name: s, reader: table, path: t.jsonl, text: t}]\n"


def address_in_message(case: Case) -> None:
    one, two = case.good_run(out="one"), case.good_run(out="two")
    files = [(out.folder / "quarantine.arrow").read_bytes() for out in (one, two)]
    equal(files[0], files[1])
    equal(one.manifest.digest, two.manifest.digest)
    assert "0x" not in one.finished.quarantine[0].message


def chinese_captions_shipped_recipe(case: Case) -> None:
    """The recipe is that of this repository, whose copy in the case may be old."""
    case.write("shipped.yaml", (REPOSITORY / "recipes/captions.yaml").read_bytes())
    done = case.run("shipped.yaml", CAPTIONS="in")
    equal(done.code, 0)
    kept = Out(case.folder / "out").answers()
    chinese = sum(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in kept)
    equal((len(kept), chinese), (6, 4))


def deep_record(case: Case) -> None:
    deep = '{"t":"fine words here"}\n{"t":"hello you","z":' + "[" * 600 + "]" * 600 + "}\n"
    case.write("t.jsonl", deep)
    case.write("r.yaml", ONE_TABLE + "max_quarantined: 9\n")
    equal(case.good_run("r.yaml").counts("read s"), (2, 1, 1))


def grey_16_bit(case: Case) -> None:
    equal(case.good_run().finished.accounts["duplicates"][:3], (8, 2, {"duplicate": 6}))


def heals_into_corruption(case: Case) -> None:
    rows = [json.dumps({"caption": f"the old house number {k} by the river"}) for k in range(200)]
    case.write("in/a.jsonl", "\n".join(rows) + "\n")
    case.good_run()
    [part] = (case.folder / "out/steps").glob("01-words-*/part-????????????????.arrow")
    part.write_bytes(part.read_bytes().replace(b"old house", b"old mouse", 1))
    change = ("--set", "steps.characters.min=6")
    refused = case.run("recipe.yaml", *change).code != 0
    if not refused:
        shards = b"".join(p.read_bytes() for p in (case.folder / "out/shards").glob("*.arrow"))
        assert b"old mouse" not in shards, "the next run takes the damage into its shards"
        equal(case.curate("verify", "out").code, 0)


def manifest_escapes(case: Case) -> None:
    for name in "ab":
        case.write(f"in/{name}.jsonl", '{"caption":"one two three"}\n')
    case.write("victim/precious.txt", "do not delete me")
    case.good_run()
    [place] = (case.folder / "out/steps").glob("01-words-*/manifest.json")
    content = json.loads(place.read_bytes())
    content.pop("digest", None)
    content["parts"][0] |= {"part": "../../../victim/s"}
    content["parts"][0]["files"][0] |= {"name": "../../../victim/precious.txt"}
    place.write_bytes(manifest.with_checksum(content))
    done = case.run("recipe.yaml", "--set", "steps.words.min=2")
    assert (case.folder / "victim/precious.txt").exists(), "a file outside the run is deleted"
    assert done.code == 0 or "victim" in done.text, done.text[-300:]


def minhash_threshold(case: Case) -> None:
    pairs = [line.split("\t")[:2] for line in (case.folder / "truth.tsv").read_text().splitlines()]
    out = case.good_run()
    kept = {row["origin"].partition("#")[2] for row in out.finished.rows}
    both = [pair for pair in pairs if set(pair) <= kept]
    assert len(both) <= len(pairs) // 100, f"{len(both)} of {len(pairs)} pairs are not found"


def of_over_distance(case: Case) -> None:
    case.good_run()
    done = case.curate("show", "out", "--dropped", "--json")
    found = [row["duplicates.similarity"] for row in json.loads(done.text)]
    equal(len(found), 1)
    assert min(found) >= 1 - 6 / 64, f"similarities {found}"


def output_inside_input(case: Case) -> None:
    with tarfile.open(case.folder / "a.tar", "w") as archive:
        for number in range(9):
            for ending, data in (("jpg", make_image(seed=number)), ("txt", b"a car")):
                info = tarfile.TarInfo(f"{number}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    case.write(
        "r.yaml",
        'name: x\nsources: [{name: s, reader: webdataset, path: "**/*.tar"}]\n'
        "shards: {formats: [webdataset]}\n",
    )
    for _ in range(3):
        done = case.run("r.yaml")
        if done.code == 0:
            equal(read_counts(case), 9)


def read_counts(case: Case) -> int:
    made = manifest.load_run(str(case.folder / "out"))
    return sum(one.rows_in for one in made.ledger if one.step == "read s")


def pickle_bombs(case: Case) -> None:
    done = case.command("bash", "run.sh", T="60")
    lines = [line for line in done.text.splitlines() if "exit code" in line]
    equal(len(lines), 3)
    assert not any("code 139" in line or "code 124 (" in line for line in lines), done.text
    assert "Traceback" not in done.text, done.text[-500:]


def secret_in_manifest(case: Case) -> None:
    case.write("t.jsonl", '{"t":"some words","hunter2-secret":1}\n')
    table = 'name: x\nsources: [{name: s, reader: table, path: t.jsonl, text: [t, "${TOKEN}"]}]\n'
    case.write("r.yaml", table)
    equal(case.run("r.yaml", TOKEN="hunter2-secret").code, 0)
    assert "hunter2" not in (case.folder / "out/manifest.json").read_text()
    place = "s3://KEYID:hunter2@bucket/a.jsonl?secret_key=hunter2"
    case.write(
        "r.yaml", f'name: x\nsources: [{{name: s, reader: table, path: "{place}", text: t}}]\n'
    )
    done = case.run("r.yaml", out="two")
    assert done.code != 0
    assert "hunter2" not in done.text, done.text


def terminal_injection(case: Case) -> None:
    line = '{"t":"a \\u001b]0;owned\\u0007 \\u001b[2J car"}\n'
    case.write("t.jsonl", line * 2)
    case.write("r.yaml", ONE_TABLE + "steps: [{duplicates: {by: text}}]\n")
    [record, *_] = case.good_run("r.yaml").records()
    for words in (["show", "out"], ["explain", "out", record["id"]], ["duplicates", "out"]):
        done = case.curate(*words)
        assert not {"\x1b", "\x07"} & set(done.text), f"{words}: {done.text!r:.300}"


def two_runs_one_folder(case: Case) -> None:
    rows = "".join(json.dumps({"caption": f"red old tree {k}"}) + "\n" for k in range(30000))
    case.write("in/a.jsonl", rows)
    words = [sys.executable, "-m", "curate", "run", "recipe.yaml", "-o", "out", "--inline", "-q"]
    both = []
    for _ in range(2):
        both.append(subprocess.Popen(words, cwd=case.folder, stderr=subprocess.PIPE, text=True,
                                     stdout=subprocess.DEVNULL))  # fmt: skip
        while not (case.folder / "out").exists() and both[0].poll() is None:
            time.sleep(0.02)
    errors = [one.communicate()[1] for one in both]
    codes = [one.returncode for one in both]
    if codes != [0, 0]:  # the first may have ended before the second began
        equal(sorted(code != 0 for code in codes), [False, True])
        has("".join(errors), "another run")
    equal(case.curate("verify", "out").code, 0)


def yaml_tracebacks(case: Case) -> None:
    table = "sources: [{name: s, reader: table, path: x, text: t}]\n"
    recipes = [
        "name: &n [*n]\n", f"name: {'[' * 2000}\n", "name: x\nseed: !!int abc\n",
        "name: 2020-99-99\n", "? [a, b]\n: c\n", "name: ${E}\n",
    ]  # fmt: skip
    steps = ("os:system", ":a", "..a:b")
    recipes += [f"name: a\n{table}steps: [{{'{step}': {{}}}}]\n" for step in steps]
    for text in recipes:
        case.write("r.yaml", text)
        done = case.curate("plan", "r.yaml", E="[")
        assert done.code == 2, f"{text:.40}: exit code {done.code}: {done.text[-200:]}"
        has(done.text, "r.yaml")


CHECKS: dict[str, Check] = {
    "minhash_threshold_0.5": minhash_threshold,
    **{
        one.__name__: one
        for one in (
            address_in_message, chinese_captions_shipped_recipe, deep_record, grey_16_bit,
            heals_into_corruption, manifest_escapes, of_over_distance, output_inside_input,
            pickle_bombs, secret_in_manifest, terminal_injection, two_runs_one_folder,
            yaml_tracebacks,
        )
    },
}  # fmt: skip
