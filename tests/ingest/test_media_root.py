"""Paths of media below the folder that `media_root` names."""

from __future__ import annotations

import pytest

from curate.ingest.media_root import path_below
from manifests.errors import RowError


def test_paths_below_the_folder_are_normalised() -> None:
    assert [path_below(p) for p in ("a", "./a", "a//b", "a/../b", "a/./b/")] == [
        "a", "a", "a/b", "b", "a/b",
    ]  # fmt: skip
    for path in ("", ".", "..", "../a", "a/../..", "/a", "http://a/b", "file:///a", "a\0"):
        with pytest.raises(RowError):
            path_below(path)


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("a\\b.jpg", "a/b.jpg"),
        (".\\a\\b.jpg", "a/b.jpg"),
        ("/data/img/a.jpg", "a.jpg"),
        ("/data/./img//x/../a.jpg", "a.jpg"),
        ("file:///data/img/a%20b.jpg", "a b.jpg"),
        ("file://localhost/data/img/a.jpg", "a.jpg"),
        ("file:/data/img/a.jpg", "a.jpg"),
        ("a%20b.jpg", "a%20b.jpg"),
    ],
)
def test_a_full_path_inside_the_folder_and_backslashes_are_taken(path: str, below: str) -> None:
    assert path_below(path, "/data/img") == path_below(path, "/data/img/") == below


@pytest.mark.parametrize(
    "path",
    ["/data/images/a.jpg", "/data/img", "/data/img/../a.jpg", "file:///etc/a.jpg", "C:\\a\\b.jpg",
     "file://host/data/img/a.jpg", "..\\a.jpg", "file:///data/img/%2e%2e/a.jpg", "https://a/b.jpg",
     "s3://data/img/a.jpg", "\\\\host\\a.jpg"],
)  # fmt: skip
def test_a_full_path_outside_the_folder_is_refused_by_name(path: str) -> None:
    with pytest.raises(RowError) as error:
        path_below(path, "/data/img")
    assert repr(path) in error.value.fault


def test_a_full_url_inside_a_remote_folder_is_taken() -> None:
    assert path_below("s3://data/img/a/b.jpg", "s3://data/img?region=r") == "a/b.jpg"
    with pytest.raises(RowError):
        path_below("s3://data/img2/b.jpg", "s3://data/img?region=r")
