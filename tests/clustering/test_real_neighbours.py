"""`near` and `retrieve` on real photographs and messages with labels."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from clustering.embed.embed import Embed
from clustering.near import Near
from manifests.media import Media
from tests.clustering.test_retrieve import retrieved
from tests.filters.rows import answers, media_records, text_records

EXAMPLES = 5


class Photos(NamedTuple):
    """`table`: EXAMPLES photographs of raccoons, which are marked, then the others. `folder`: a
    folder of the examples. `raccoon`: which of the others are of raccoons."""

    table: pa.Table
    folder: Path
    raccoon: np.ndarray


@pytest.fixture(scope="module")
def photos(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Photos:
    grounding = real_data / "grounding"
    raccoons = sorted((grounding / "raccoon/images").glob("*.jpg"))
    others = sorted((grounding / "coco_permissive/images").glob("*.jpg"))
    random.Random(0).shuffle(raccoons)
    folder = tmp_path_factory.mktemp("examples")
    for path in raccoons[:EXAMPLES]:
        shutil.copy(path, folder)
    files = raccoons + others
    batch = media_records(*([{"kind": "image", "uri": str(path)}] for path in files))
    vectors = answers(Embed(), batch, Media(side=256))["vector"]
    rest = len(files) - EXAMPLES
    columns: dict[str, Any] = {
        "id": batch["id"],
        "source": pa.array(["main"] * EXAMPLES + ["pool"] * rest),
        "embed.vector": pa.array(vectors, Embed().measures()["vector"]),
        "cluster.sparse": pa.array([True] * EXAMPLES + [False] * rest),
    }
    raccoon = np.arange(rest) < len(raccoons) - EXAMPLES
    return Photos(pa.table(columns), folder, raccoon)


@pytest.mark.parametrize(("count", "recall"), [(5, 0.35), (10, 0.55), (20, 0.85)])
def test_what_is_retrieved_for_photos_of_raccoons_are_raccoons(
    photos: Photos, count: int, recall: float
) -> None:
    found = retrieved(photos.table, pool=["pool"], count=count, min=0)
    kept = np.array([reason is None for reason in found.drop[EXAMPLES:]])
    assert photos.raccoon.mean() < 0.4
    assert photos.raccoon[kept].mean() > 0.95
    assert kept[photos.raccoon].mean() > recall


def separation(cosine: np.ndarray, wanted: np.ndarray) -> float:
    """The area under the ROC curve."""
    return float((cosine[wanted][:, None] > cosine[~wanted]).mean())


def test_photos_near_five_examples_are_raccoons(photos: Photos) -> None:
    step = Near(examples=str(photos.folder)).with_maker(Embed())
    cosine = np.array(answers(step, photos.table.slice(EXAMPLES))["cosine"])
    assert separation(cosine, photos.raccoon) > 0.99


def test_messages_near_fifty_examples_are_spam(real_data: Path, tmp_path: Path) -> None:
    file = real_data / "text/sms_spam/SMSSpamCollection"
    rows = [line.split("\t", 1) for line in file.read_text("utf-8").splitlines() if "\t" in line]
    spam = [text for label, text in rows if label == "spam"][:50]
    (tmp_path / "spam.txt").write_text("\n".join(spam), "utf-8")
    rest = [(label == "spam", text) for label, text in rows[1:] if text not in {*spam}][:3000]
    maker, batch = Embed(on="text"), text_records(*(text for _, text in rest))
    vectors = pa.array(answers(maker, batch)["vector"], maker.measures()["vector"])
    step = Near(examples=str(tmp_path / "spam.txt"), min=0.5).with_maker(maker)
    found = answers(step, batch.append_column("embed.vector", vectors))
    is_spam = np.array([spam for spam, _ in rest])
    dropped = np.array([reason is not None for reason in found["drop"]])
    assert is_spam[dropped].mean() > 0.98
    assert dropped[is_spam].mean() > 0.3
    cosine = np.array([one if one is not None else -1 for one in found["cosine"]])
    assert separation(cosine, is_spam) > 0.95
