"""Duplicates of captions by meaning: planted paraphrases, and captions that only look alike.

    python -m benchmarks.semantic_text DATA [--minilm FOLDER] [--endpoint URL --model NAME
        --width N --prefix TEXT] [--most 3000] [--thresholds 0.6 0.7 ...]

Real captions of `DATA` (SugarCrepe and OpenStax), and a paraphrase of each by the rules of
`benchmarks.paraphrases`. A run embeds them, then drops duplicates at every threshold with
`duplicates: {by: semantic}`. *Recall* is the share of the paraphrases that are found: one of the
two captions is dropped. *Precision* is the share of the drops after which another caption of the
same meaning is still there. At the lowest threshold with a precision of 0.95 (or else the highest
precision), near misses of SugarCrepe are added: a caption with a word or two changed, so that it
means something else. *Lost* is the share of them of which the caption or the near miss is gone.

`FOLDER` has MiniLM's model.onnx and tokenizer.json.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import orjson

from benchmarks.paraphrases import descriptions, near_misses, paraphrase
from curate import recipe as recipes
from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.run import Run
from manifests.storage import parts

SEED, WANTED = 17, 0.95
THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.82, 0.84, 0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98)


class Caption(NamedTuple):
    """A caption. `meaning`: captions with the same number mean the same. `rules`: how it was made
    out of another one; "" for a real one."""

    text: str
    meaning: int
    rules: str = ""


class Found(NamedTuple):
    threshold: float
    recall: float
    precision: float
    by_rules: dict[str, float]


class Corpus:
    """The captions of a file of JSON lines, and runs over them."""

    def __init__(self, captions: list[Caption], embedder: dict[str, Any], folder: Path) -> None:
        self.captions, self._embedder, self._folder = captions, embedder, folder
        folder.mkdir()
        lines = [orjson.dumps({"text": one.text}) for one in captions]
        (folder / "captions.jsonl").write_bytes(b"\n".join(lines) + b"\n")

    def kept(self, threshold: float) -> Counter[int]:
        """Returns how many captions of each meaning are left."""
        [name] = self._embedder
        column = f"{name}.vector"
        recipe = {
            "name": "semantic",
            "sources": [{"name": "captions", "reader": "table", "path": "*.jsonl", "text": "text"}],
            "steps": [
                self._embedder,
                {"duplicates": {"by": "semantic", "embedding": column, "threshold": threshold}},
            ],
        }
        out = self._folder / "out"
        out.mkdir(exist_ok=True)
        loaded = recipes.build(recipe, base=str(self._folder))
        made = Run(loaded, str(out), Inline(), Progress(quiet=True), False)()
        folder = next(one.folder for one in made.passes if one.kind == "order")
        return Counter(self.captions[row].meaning for row in _rows(out / folder))


def _rows(folder: Path) -> Iterator[int]:
    """Yields the numbers of the lines of all records of a pass."""
    for path in sorted(folder.glob("part-*.arrow")):
        if not path.name.endswith(".dropped.arrow"):
            for origin in parts.read_columns(str(path), ("origin",))["origin"].to_pylist():
                yield int(origin.rpartition("#")[2]) - 1


def planted(data: Path, most: int) -> list[Caption]:
    """Returns real captions and a paraphrase of each to which a rule applies."""
    real = [*dict.fromkeys([*(one.caption for one in near_misses(data)), *descriptions(data)])]
    made: list[Caption] = []
    for meaning, text in enumerate(Random(SEED).sample(real, min(most, len(real)))):
        made.append(Caption(text, meaning))
        if changed := paraphrase(text, SEED):
            made.append(Caption(changed.text, meaning, changed.rules))
    return made


def with_near_misses(captions: list[Caption], data: Path) -> tuple[list[Caption], dict[int, int]]:
    """Returns the captions and their near misses, and the meaning of the caption that each near
    miss was made from, by the meaning of the near miss."""
    meanings = {one.text: one.meaning for one in captions if not one.rules}
    added, of = list(captions), dict[int, int]()
    for one in near_misses(data):
        if one.caption in meanings:
            of[len(added)] = meanings[one.caption]
            added.append(Caption(one.text, len(added)))
    return added, of


def found(corpus: Corpus, threshold: float) -> Found:
    kept, all_ = corpus.kept(threshold), Counter(one.meaning for one in corpus.captions)
    right = sum(size - max(kept[meaning], 1) for meaning, size in all_.items())
    wrong = sum(not kept[meaning] for meaning in all_)
    made, gone = Counter[str](), Counter[str]()
    for one in corpus.captions:
        if one.rules:
            made[one.rules] += 1
            gone[one.rules] += kept[one.meaning] < all_[one.meaning]
    recall = gone.total() / made.total()
    shares = {rules: gone[rules] / made[rules] for rules in sorted(made)}
    return Found(threshold, recall, right / max(1, right + wrong), shares)


def measure(name: str, embedder: dict[str, Any], args: argparse.Namespace) -> None:
    """Print what an embedder finds at each threshold, then what becomes of near misses."""
    captions = planted(args.data, args.most)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(captions, embedder, Path(folder) / "planted")
        print(f"\n{name}: {len(captions)} captions\nthreshold  recall  precision", flush=True)
        all_ = [found(corpus, threshold) for threshold in args.thresholds]
        for one in all_:
            print(f"{one.threshold:9.2f}  {one.recall:6.3f}  {one.precision:9.3f}", flush=True)
        enough = [one for one in all_ if one.precision >= WANTED]
        best = enough[0] if enough else max(all_, key=lambda one: one.precision)
        rules = " ".join(f"{rules} {share:.2f}" for rules, share in best.by_rules.items())
        print(f"recall by rule at {best.threshold}: {rules}")
        added, of = with_near_misses(captions, args.data)
        kept = Corpus(added, embedder, Path(folder) / "near").kept(best.threshold)
        lost = sum(not (kept[meaning] and kept[caption]) for meaning, caption in of.items())
        print(f"near misses lost at {best.threshold}: {lost / max(1, len(of)):.3f} of {len(of)}")


def embedders(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    if args.endpoint:
        step = {"model": args.model, "endpoint": args.endpoint, "width": args.width}
        yield args.model, {"embed_endpoint": {**step, "prefix": args.prefix}}
        return
    yield "wordllama", {"embed": {"on": "text"}}
    yield "embed_ngrams", {"embed_ngrams": {}}
    if args.minilm:
        folder = args.minilm.resolve()
        files = {"model": f"{folder}/model.onnx", "tokenizer": f"{folder}/tokenizer.json"}
        shape = {"output": "last_hidden_state", "pooling": "mean", "width": 384, "max_tokens": 128}
        yield "MiniLM", {"embed": {"on": "text", **files, **shape}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--minilm", type=Path)
    parser.add_argument("--endpoint")
    parser.add_argument("--model", default="model")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--most", type=int, default=3000)
    parser.add_argument("--thresholds", type=float, nargs="+", default=THRESHOLDS)
    args = parser.parse_args()
    for name, embedder in embedders(args):
        measure(name, embedder, args)


if __name__ == "__main__":
    main()
