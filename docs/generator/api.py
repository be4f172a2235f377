"""The reference for authors of steps and readers: signatures and docstrings out of the source."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType

MODULES = (
    "manifests.step",
    "manifests.step.bounds",
    "manifests.record",
    "manifests.media",
    "curate.ingest.reader",
    "manifests.errors",
)
_LONG = 6
"""Lines of a constant that are shown in full (ours)."""


def reference() -> str:
    return "\n\n".join(_module(importlib.import_module(name)) for name in MODULES)


def _module(module: ModuleType) -> str:
    blocks = "\n\n".join(f"```python\n{_source(module, name)}\n```" for name in public(module))
    return f"## {module.__name__}\n\n{inspect.getdoc(module)}\n\n{blocks}"


def public(module: ModuleType) -> list[str]:
    """The names of `__all__`; of a module without one, what it defines without a leading `_`."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [name for name in _definitions(module) if not name.startswith("_")]


def _source(module: ModuleType, name: str) -> str:
    """The definition of a name, wherever the module imports it from."""
    nodes = _definitions(module)
    if name in nodes:
        lines = inspect.getsource(module).splitlines()
        return "\n".join(_shown(nodes[name], lines))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return _source(importlib.import_module(node.module or ""), name)
    raise LookupError(f"{module.__name__} neither defines nor imports {name}")


def _definitions(module: ModuleType) -> dict[str, list[ast.stmt]]:
    """The statements of each name: a constant may have a docstring behind it."""
    found: dict[str, list[ast.stmt]] = {}
    body = ast.parse(inspect.getsource(module)).body
    for place, node in enumerate(body):
        if name := _name(node):
            found[name] = [node, *(n for n in body[place + 1 : place + 2] if _is_docstring(n))]
    return found


def _name(node: ast.stmt) -> str | None:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign):
        node_name = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        node_name = node.target
    else:
        return None
    return node_name.id if isinstance(node_name, ast.Name) else None


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _shown(nodes: list[ast.stmt], lines: list[str]) -> Iterator[str]:
    """The lines of the nodes: signatures and docstrings without the code of functions."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            yield from _class(node, lines)
        elif isinstance(node, ast.FunctionDef):
            yield from _function(node, lines)
        else:
            yield from _constant(node, lines)


def _class(node: ast.ClassDef, lines: list[str]) -> Iterator[str]:
    yield from lines[_start(node) : node.body[0].lineno - 1]
    for place, member in enumerate(node.body):
        if isinstance(member, ast.FunctionDef):
            if not member.name.startswith("_") or member.name == "__call__":
                yield ""
                yield from _function(member, lines)
        elif not (_name(member) or "").startswith("_"):
            before = node.body[place - 1].end_lineno or 0
            if place and lines[before].strip() == "":
                yield ""
            yield from lines[member.lineno - 1 : member.end_lineno]


def _function(node: ast.FunctionDef, lines: list[str]) -> Iterator[str]:
    """The signature and the docstring; one without a docstring ends in `...`."""
    first = node.body[0]
    if first.lineno == node.lineno:
        yield from lines[_start(node) : node.lineno]
    elif _is_docstring(first):
        yield from lines[_start(node) : first.end_lineno]
    else:
        signature = lines[_start(node) : first.lineno - 1]
        yield from [*signature[:-1], f"{signature[-1]} ..."]


def _constant(node: ast.stmt, lines: list[str]) -> Iterator[str]:
    shown = lines[node.lineno - 1 : node.end_lineno]
    yield from shown if len(shown) <= _LONG else [f"{_name(node)} = ..."]


def _start(node: ast.ClassDef | ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
