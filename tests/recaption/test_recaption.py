"""The step `recaption` in complete runs against a real server: what is asked and written."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from curate.engine.ray import RayExecutor
from manifests.errors import RecipeError
from manifests.media import Media, Reference
from manifests.record import Builder
from manifests.step import Context, Reply
from recaption.caption.recaption import Recaption
from recaption.client import Client
from recaption.prompts import load_prompt, prompt_file
from tests.make import make_image
from tests.recaption.endpoint import MODEL, Endpoint
from tests.recaption.recaption_runs import TEXTS, records, run, text_of, write
from tests.runs import file_bytes


def test_captions_are_rewritten_and_the_old_text_is_kept(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path)
    made = run(tmp_path, endpoint)
    rows = records(tmp_path, made)
    assert [row["raw_text"] for row in rows] == sorted(TEXTS)
    assert all("with the mark" in text_of(row) for row in rows)
    assert {row["recaption.status"] for row in rows} == {"rewritten"}
    assert {row["recaption.model"] for row in rows} == {"test-vlm-2026"}
    assert {row["recaption.replies"] for row in rows} == {1}
    assert {row["recaption.output_tokens"] for row in rows} == {20}
    assert endpoint.texts == sorted(TEXTS)
    body = endpoint.asked[0].body
    assert (body["model"], body["temperature"], body["seed"]) == (MODEL, 0.6, 0)


def test_an_image_is_sent_within_the_budget_and_upright(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path, TEXTS[:3], width=640, height=480)
    turned = Image.open(io.BytesIO(make_image(400, 100, 2)))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "data" / "images" / "2.jpg", exif=exif)
    small = make_image(60, 40)
    (tmp_path / "data" / "images" / "1.jpg").write_bytes(small)
    run(tmp_path, endpoint, max_pixels=50_000)
    sizes = {one.raw_text: one.sizes for one in endpoint.asked}
    assert sizes == {TEXTS[0]: [(258, 193)], TEXTS[1]: [(60, 40)], TEXTS[2]: [(100, 400)]}
    assert [one.images[0] for one in endpoint.asked if one.raw_text == TEXTS[1]] == [small]


@pytest.mark.parametrize(("kind", "sent"), [("PNG", "PNG"), ("WEBP", "WEBP"), ("BMP", "JPEG"),
                                            ("GIF", "JPEG"), ("TIFF", "JPEG")])  # fmt: skip
def test_formats_that_not_every_endpoint_reads_are_sent_as_jpeg(
    tmp_path: Path, endpoint: Endpoint, kind: str, sent: str
) -> None:
    write(tmp_path, TEXTS[:1])
    data = io.BytesIO()
    Image.open(io.BytesIO(make_image(60, 40))).save(data, kind)
    (tmp_path / "data" / "images" / "0.jpg").write_bytes(data.getvalue())
    run(tmp_path, endpoint)
    [image] = endpoint.asked[0].images
    assert Image.open(io.BytesIO(image)).format == sent


def test_a_record_with_several_images_sends_them_in_order(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path, TEXTS[:3])
    rows = Builder("made", "interleaved")
    row = rows.add("1", "1", language="de")
    for n in (2, 0, 1):
        row.image(Reference(f"data/images/{n}.jpg"))
    rows.add("2", "2").text("no image here")
    rows.add("3", "3").turn("user", "Hello").turn("assistant", "Hello")
    step = Recaption(model=MODEL, endpoint=endpoint.url)
    client = Client(step, "step recaption", str(tmp_path))
    prompt = load_prompt(prompt_file("caption", ""))
    media = Media(str(tmp_path))
    context = Context(media, lambda data: Reference(""), model=prompt, client=client)
    batch = rows.table().select(step.reads())
    made = step.measure(batch, context)
    client.close()
    [asked] = endpoint.asked
    images = [(tmp_path / f"data/images/{n}.jpg").read_bytes() for n in (2, 0, 1)]
    assert asked.images == images
    assert "BCP 47 tag de" in asked.text
    assert made.columns["status"].to_pylist() == ["rewritten", "no image", "no image"]
    assert made.errors is not None
    assert made.errors.table["kind"].to_pylist() == [None, None, "RowError"]
    content = made.columns["content"].to_pylist()
    assert [one["kind"] for one in content[0]] == ["image", "image", "image", "text"]
    assert content[1:] == batch["content"].to_pylist()[1:]


def test_an_earlier_raw_text_is_not_overwritten() -> None:
    rows = Builder("made", "caption")
    for key in "12":
        rows.add(key, key).image(Reference("a.jpg")).text("the second")
    table = rows.table()
    raw = pa.array([None, "the first"], pa.string())
    table = table.set_column(table.column_names.index("raw_text"), "raw_text", raw)
    step = Recaption(model=MODEL, endpoint="http://127.0.0.1/v1")
    reply = Reply("the third", "stop", MODEL)
    made = step.answer(table.select(step.reads()), [reply, reply])
    assert made.columns["raw_text"].to_pylist() == ["the second", "the first"]
    assert [c[1]["text"] for c in made.columns["content"].to_pylist()] == ["the third"] * 2


def test_an_own_prompt_decides_what_is_asked(tmp_path: Path, endpoint: Endpoint) -> None:
    own = {"name": "mine", "version": 3, "text": "Caption? {raw_text} {language}",
           "without_text": "Caption?", "system": "Be brief."}  # fmt: skip
    (tmp_path / "mine.yaml").write_text(json.dumps(own))
    write(tmp_path, ["braces {language} stay", "other"])
    run(tmp_path, endpoint, prompt="mine.yaml")
    asked = sorted(one.text for one in endpoint.asked)
    assert asked[0] == "Be brief.\nCaption? braces {language} stay"
    (tmp_path / "mine.yaml").write_text(json.dumps({**own, "system": "Be long."}))
    run(tmp_path, endpoint, prompt="mine.yaml")
    assert len(endpoint.asked) == 4


def test_ray_writes_the_same_bytes_and_keeps_to_one_limit(
    tmp_path: Path, endpoint: Endpoint, ray: None
) -> None:
    endpoint.seconds = 0.05
    write(tmp_path, [f"caption {n}" for n in range(60)], files=4)
    run(tmp_path, endpoint, "inline", journal="one", max_concurrent=5)
    assert endpoint.most <= 5
    endpoint.most = 0
    run(tmp_path, endpoint, "ray", RayExecutor(3), journal="two", max_concurrent=5)
    assert endpoint.most <= 5
    assert len(endpoint.asked) == 120
    assert file_bytes(tmp_path / "inline") == file_bytes(tmp_path / "ray")
    assert os.listdir(tmp_path / "two")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"prompt": "captoin"}, "no prompt named 'captoin'. Did you mean 'caption'?"),
        ({"parameters": {"seed": 3}}, "'seed' is a setting of the step"),
        ({"parameters": {"top_p": 0.9, "stream": True}}, "'stream' cannot be set"),
        ({"bad_replies": "remove"}, "'keep' or 'drop'"),
    ],
)
def test_a_wrong_setting_is_refused_before_the_run(
    tmp_path: Path, endpoint: Endpoint, settings: dict[str, Any], fault: str
) -> None:
    write(tmp_path, TEXTS[:1])
    with pytest.raises(RecipeError, match=re.escape(fault)):
        run(tmp_path, endpoint, **settings)
    assert endpoint.asked == []


@pytest.mark.parametrize("text", ["text: [", "- a", "name: own\nversion: 1\ntext: x\ntxt: y\n"])
def test_a_file_that_is_no_prompt_names_the_fields_of_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match="The fields of a prompt are: name, version, system"):
        load_prompt(str(path))


def test_a_placeholder_that_the_step_does_not_fill_is_named(tmp_path: Path) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text('name: typo\nversion: 1\ntext: "Rewrite {raw_txt}, as {\\"text\\": ...}."\n')
    with pytest.raises(RecipeError, match=r"\{raw_txt\}.*\n?.*\{language\}, \{raw_text\}"):
        load_prompt(str(path))
