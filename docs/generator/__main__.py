"""Rewrite every generated region of the pages in docs/."""

from __future__ import annotations

from docs.generator.regions import pages

for path, text in pages().items():
    if path.read_text() != text:
        path.write_text(text)
        print(f"rewritten: {path}")
