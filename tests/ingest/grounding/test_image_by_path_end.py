"""Images by the end of their path: full paths, urls and backslashes too."""

from __future__ import annotations

from pathlib import Path

from curate.ingest.grounding.annotations.image_by_path_end import image_by_path_end
from curate.ingest.images import OpenedImage
from manifests.errors import RowError
from manifests.media import Media
from tests.make import make_image


def test_a_full_path_or_url_below_media_root_and_leading_folders_are_taken(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "a.jpg").write_bytes(make_image())
    media = Media(str(tmp_path))
    for path in (f"{tmp_path}/img/a.jpg", f"file://{tmp_path}/img/a.jpg", "v1\\img\\a.jpg"):
        opened = image_by_path_end(".", path, media)
        assert isinstance(opened, OpenedImage)
        assert opened.reference.uri == "./img/a.jpg"
    assert isinstance(image_by_path_end("img", "/etc/img/a.jpg", media), RowError)
