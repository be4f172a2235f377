"""The sources use the words of docs/glossary.md: none of the words below, in names or in prose."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("manifests", "filters", "clustering", "recaption", "curate", "benchmarks", "tests")
PYTHON = [*(p for top in PACKAGES for p in sorted((ROOT / top).rglob("*.py"))), ROOT / "dev.py"]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SPEECH = {"told", "tell", "tells", "said", "saying"}
"""Data does not speak: a file contains, states or declares."""
UNCLEAR = {
    "concerned", "concerns", "met", "meet", "meets", "picture", "pictures", "stretch", "stretches",
    "thing", "things", "wish", "wishes", "wood", "woods",
}  # fmt: skip
"""An image, a candidate pair, a byte range, an object, a sort key, a forest, a row mask."""
NAMES = SPEECH | UNCLEAR | {"say", "says"}
PROSE = (SPEECH | UNCLEAR) - {"concerns", "met", "meet", "meets", "thing", "things"}
QUOTED = {
    "curate/compose/grounding/templates.py",  # published questions, word for word
    "curate/demo.py",  # captions of its corpus
    "tests/test_words.py",
}


def test_no_identifier_has_an_unclear_word() -> None:
    found = [place for path in PYTHON for place in names(path)]
    assert not found, "\n".join(found)


def test_no_docstring_comment_or_message_has_an_unclear_word() -> None:
    found = [place for path in PYTHON for place in prose(path)]
    assert not found, "\n".join(found)


def test_no_page_has_an_unclear_word() -> None:
    found = []
    for path in PAGES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            text = re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)
            found += [f"{path.name}:{number}: {word}" for word in unclear(words(text), PROSE)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("identifier", "parts"),
    [("to_tell", ["to", "tell"]), ("_ReadPicture", ["read", "picture"]), ("wood2", ["wood"])],
)
def test_identifiers_are_split_into_words(identifier: str, parts: list[str]) -> None:
    assert split(identifier) == parts


def names(path: Path) -> Iterator[str]:
    """The definitions of a module, and the module itself, whose names have an unclear word."""
    own = str(path.relative_to(ROOT))
    if own in QUOTED:
        return
    source = path.read_text()
    if NAMES.isdisjoint(split(f"{path.stem} {source}")):
        return  # no name is in the source that would be split into one of the words
    defined = [(1, path.stem), *definitions(ast.parse(source))]
    for number, name in defined:
        for word in unclear(split(name), NAMES):
            yield f"{own}:{number}: '{word}' in the name {name}"


def definitions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that is bound: classes, functions, arguments, variables, attributes, imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield 1, node.asname


def prose(path: Path) -> Iterator[str]:
    """Comments and texts of a module with an unclear word; of tests, which have data in texts,
    comments and docstrings alone."""
    own = str(path.relative_to(ROOT))
    if own in QUOTED:
        return
    source = path.read_text()
    texts = docstrings(source) if own.startswith("tests/") else strings(source)
    for number, text in [*texts, *comments(source)]:
        for word in unclear(words(re.sub(r"`[^`]*`", "", text)), PROSE):
            yield f"{own}:{number}: '{word}' in: {' '.join(text.split())[:100]}"


def comments(source: str) -> Iterator[tuple[int, str]]:
    """The comments of a module. Without one of the words there is none to look at, and it is not
    cut into tokens, which is slow."""
    if PROSE.isdisjoint(words(source)):
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def strings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Texts that are statements of their own: docstrings of modules, functions and constants."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.lineno, str(node.value.value)


def split(identifier: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", identifier).lower())


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def unclear(found: list[str], refused: set[str]) -> list[str]:
    return [word for word in found if word in refused]
