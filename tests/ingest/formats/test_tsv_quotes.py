"""Whether fields of a TSV are quoted: by the lines that show it, and refused if they disagree."""

from __future__ import annotations

import csv
import io
import random

import pytest

from curate.ingest.formats.tsv_quotes import Quotes, quotes_of
from manifests.errors import FileError
from manifests.storage import File

FILE = File("a.tsv", "a.tsv", 0, 0)
PLAIN = 'He said "yes"\turl\n"Hello" she said\turl\n'
QUOTED = '"a sign: ""OPEN"" in neon"\turl\n"two\nlines"\turl\n"a\ttab"\turl\n'


def decided(text: str, width: int | None = 2) -> Quotes:
    return quotes_of(enumerate(text.encode().split(b"\n")[:-1], 1), width, FILE)


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ("a\tb\n", "none"),
        (PLAIN, "none"),
        ('"Hello\turl\nb\turl\nHe said "no"\turl\n', "none"),
        ('"OPEN"\turl\na plain one\turl\n', "none"),
        ('"all"\t"quoted"\n', "doubled"),
        (QUOTED, "doubled"),
        ('url\t"two\nlines"\n', "doubled"),
    ],
)
def test_lines_with_quotes_show_how_fields_are_quoted(text: str, quotes: Quotes) -> None:
    assert decided(text) == quotes
    assert decided(text, None) == quotes


def test_a_few_lines_do_not_change_what_most_show() -> None:
    assert decided(PLAIN * 200 + QUOTED) == "none"
    assert decided(QUOTED * 200 + PLAIN) == "doubled"


def test_a_line_with_another_number_of_fields_shows_nothing() -> None:
    assert decided('say "x"\tone\ttoo many\n' + QUOTED) == "doubled"


def test_lines_that_disagree_are_refused_with_one_of_each() -> None:
    with pytest.raises(FileError, match=r"\(line 3\).*\(line 1\).*`quotes: doubled`"):
        decided(PLAIN + QUOTED)


def test_what_a_csv_writer_quotes_is_found_in_random_tables() -> None:
    random_ = random.Random(11)
    for _ in range(300):
        texts = [random_.choice(["a", 'say "x"', "two\nlines", "tab\there"]) for _ in range(9)]
        out = io.StringIO()
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerows([text, "http://a.b/c.jpg"] for text in texts)
        expected = "none" if set(texts) == {"a"} else "doubled"
        assert decided(out.getvalue()) == expected


def test_captions_with_quotes_of_their_own_are_found_in_random_tables() -> None:
    random_ = random.Random(12)
    captions = ['"Hello" he said', 'a 5" pipe', '"open', "plain", '"A" and "B"', 'the "x"']
    for _ in range(300):
        texts = [random_.choice(captions) for _ in range(12)]
        text = "".join(f"{text}\thttp://a.b/c.jpg\n" for text in texts)
        assert decided(text) == "none"
