"""Images by the end of their path: full paths, urls and backslashes too."""

from __future__ import annotations

from pathlib import Path

from curate.ingest.grounding.annotations.image_by_path_end import SharedEnds, image_by_path_end
from curate.ingest.images import OpenedImage
from manifests.errors import RowError
from manifests.media import Media
from tests.make import make_image


def ends(*paths: str) -> SharedEnds:
    return SharedEnds(lambda: paths)


def test_an_image_that_several_paths_may_mean_is_taken_for_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for place in ("a.jpg", "b/a.jpg", "b/c.jpg"):
        (tmp_path / place).write_bytes(make_image())
    paths = ("x/a.jpg", "y\\a.jpg", "x/b/a.jpg", "y/c.jpg", "y/b/c.jpg", "z/b/c.jpg", "x/a.jpg")
    media, shared = Media(str(tmp_path)), ends(*paths)
    found = {path: image_by_path_end(".", path, media, shared) for path in paths}
    places = {
        path: one.reference.uri for path, one in found.items() if isinstance(one, OpenedImage)
    }
    assert places == {"x/b/a.jpg": "./b/a.jpg"}
    assert str(found["x/a.jpg"]) == (
        "./a.jpg: 'x/a.jpg' does not exist below media_root, and the file that was found by "
        "the end of this path may also be 'x/b/a.jpg' or 'y/a.jpg'. Copy the images with "
        "their folders, or set media_root to the folder that contains these folders."
    )
    assert "also be 'y/b/c.jpg'" in str(found["z/b/c.jpg"])
    alone = image_by_path_end(".", "x/a.jpg", media, ends("x/a.jpg", "x/a.jpg"))
    assert isinstance(alone, OpenedImage)


def test_a_full_path_or_url_below_media_root_and_leading_folders_are_taken(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.jpg").write_bytes(make_image())
    media = Media(str(tmp_path))
    for path in (f"{tmp_path}/img/a.jpg", f"file://{tmp_path}/img/a.jpg", "v1\\img\\a.jpg"):
        opened = image_by_path_end(".", path, media, ends(path))
        assert isinstance(opened, OpenedImage)
        assert opened.reference.uri == "./img/a.jpg"
    assert isinstance(image_by_path_end("img", "/etc/img/a.jpg", media, ends()), RowError)


def test_the_paths_of_a_file_are_read_once_for_all_its_splits() -> None:
    reads: list[str] = []

    def paths(key: str) -> SharedEnds:
        def load() -> list[str]:
            reads.append(key)
            return ["x/a.jpg", "y/a.jpg"]

        return SharedEnds(load, key)

    for key in ("one file", "one file", "another"):
        assert paths(key).others("x/a.jpg", "a.jpg") == ["y/a.jpg"]
    assert reads == ["one file", "one file", "another", "another"]  # names, then paths
