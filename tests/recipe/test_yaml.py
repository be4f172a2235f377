"""What is odd in the YAML of a recipe is refused by line, and never by a traceback."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from curate import recipe
from curate.recipe.text import read
from manifests.errors import CurateError, RecipeError

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [{', '.join([f'*{o}'] * 9)}]\n" for o, n in zip("abcdefg", "bcdefgh", strict=True)
)


def refusal(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RecipeError) as caught:
        recipe.load(str(path))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: &n [*n]\n", "r.yaml:1: values are nested more than 50 levels deep"),
        ("name: " + "[" * 5000, "r.yaml: values are nested more than 50 levels deep"),
        ("name: x\nseed: !!int abc\n", "r.yaml:2: 'abc' is not a valid int. If the value is text"),
        ("name: x\nseed: !!python/name:os.system\n", "r.yaml:2: the YAML tag tag:yaml.org"),
        ("name: !!binary aGk=\n", "r.yaml:1: the YAML tag tag:yaml.org,2002:binary is not allowed"),
        ("? [a, b]\n: c\n", "r.yaml:1: the key of a mapping must be text: the name of a setting."),
        ("? {a: b}\n: c\n", "r.yaml:1: the key of a mapping must be text: the name of a setting."),
        ("name: x\n'': c\n", ("r.yaml:2: the key of a mapping must be text: the name of a "
                             "setting.")),
        ("name: x\nsources: [{}]\n1: x\n", "r.yaml:3: 1: there is no setting named '1'."),
        ("name: x\nname: y\n", "r.yaml:2: the key 'name' occurs twice"),
        ("name: x\n\tseed: 1\n", "r.yaml:2: the recipe is not valid YAML"),
        ("name: x\nseed: 1e3x\n", "r.yaml:2: seed: Input should be a valid integer"),
        (LAUGHS, ("the recipe has more than 100000 values; each use of a YAML anchor counts "
                 "again.")),
        ("name: *nothing\n", ("r.yaml:1: the recipe is not valid YAML: found undefined alias "
                             "'nothing'.")),
        ("name: *.gif\n", "but found '.'. If the value is text, write it in quotes, as in"),
        ("name: [a?b]\n", "but got '?'. If the value is text, write it in quotes, as in"),
        ("- name\n", "r.yaml: a recipe must be a mapping"),
        ("", "r.yaml: a recipe must be a mapping"),
        (b"name: \xff\n", "r.yaml: the file is not UTF-8 text: byte 6 is not valid."),
        ("name: \x1b[2J\n", "r.yaml: the recipe is not valid YAML"),
        ("base: [a]\n", "r.yaml:1: base: `base` must be the path of a recipe, not ['a']."),
        ("name: x\nbase: none.yaml\n", ("r.yaml:2: base: the recipe does not exist. There is no "
                                        "file")),
        ("base: ../{0}/r.yaml\n", "r.yaml:1: base: the recipe includes itself through"),
        ("base: .\n", "r.yaml:1: base: the recipe must be a file."),
    ],
)  # fmt: skip
def test_odd_yaml_is_refused_by_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    if isinstance(text, str):
        text = text.replace("{0}", tmp_path.name)
    assert message in refusal(tmp_path, text)


@pytest.mark.parametrize("name", ["os:system", "os:nothing", ":a", "..a:b", "a b:c", "os:path:x"])
@pytest.mark.parametrize("kind", ["step", "reader"])
def test_what_is_no_class_of_a_step_or_reader_is_refused(
    tmp_path: Path, name: str, kind: str
) -> None:
    reader, steps = ("table", f"[{{'{name}': {{}}}}]") if kind == "step" else (name, "[]")
    source = f"{{name: s, reader: '{reader}', path: x, text: t}}"
    text = f"name: a\nsources: [{source}]\nsteps: {steps}\n"
    assert refusal(tmp_path, text).startswith(f"r.yaml:{3 if kind == 'step' else 2}: ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("Yes", "Yes"), ("true", True), ("2026-01-31", "2026-01-31"),
        ("2020-99-99", "2020-99-99"), ("16:9", "16:9"), ("=", "="), ("<<", "<<"), ("1.5", 1.5),
        ("'1'", "1"), ("~", None),
    ],
)  # fmt: skip
def test_a_word_is_text_whatever_yaml_1_1_makes_of_it(
    tmp_path: Path, text: str, value: object
) -> None:
    (tmp_path / "r.yaml").write_text(f"x: {text}\n")
    assert read(str(tmp_path / "r.yaml"))[0] == {"x": value}


def test_a_damaged_recipe_is_read_or_refused(tmp_path: Path) -> None:
    good = (
        "name: x\nseed: 1\nbase: b.yaml\n"
        "sources:\n  - {name: s, reader: table, path: '*', text: t}\n"
        "steps:\n  - words: {min: 3, only: {source: [s, &a t]}}\n  - preset: datacomp_basic\n"
        "  - sample: {records: 3}\nshards: {formats: [arrow], shard_bytes: 5MB}\n"
        "media: {max_pixels: 5}\n"
    )
    (tmp_path / "b.yaml").write_text("name: y\nmax_quarantined: 3\n")
    bits = ["[", "]", "{", "}", ":", "- ", "*a", "&a ", "!!set ", "? ", "~", "\n", "  ", "1e999",
            "${X}", "${HOME}", "'", '"', "|", "#", "<<: ", "null", "-1", "x", "\t",
            ".nan"]  # fmt: skip
    for seed in range(400):
        draw, text = random.Random(seed), good
        for _ in range(draw.randint(1, 3)):
            start = draw.randrange(len(text))
            stop = start + draw.choice([0, 0, 1, 5])
            text = text[:start] + draw.choice(bits) + text[stop:]
        (tmp_path / "r.yaml").write_text(text)
        settings = draw.choice([[], ["steps.words.min=[1"], ["sources.s.x.y=2"], ["a..b=1"]])
        with contextlib.suppress(CurateError):
            recipe.load(str(tmp_path / "r.yaml"), settings)
