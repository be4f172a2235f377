"""A Pascal VOC file becomes one record with its boxes, or one failure with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.ingest.grounding.annotations import file_per_image
from curate.ingest.grounding.voc import Voc
from curate.ingest.reader import Head
from manifests.errors import InputError
from manifests.geometry.space import Space
from manifests.record import record_id
from manifests.storage import File
from tests.ingest.grounding.reading import PHOTO, read_annotated, summarised, write_files
from tests.make import make_image, read_all
from tests.runs import run_recipe

SIZE = "<size><width>100</width><height>50</height><depth>3</depth></size>"


def xml(objects: str, filename: str = "a.jpg", size: str = SIZE) -> str:
    return (
        f"<annotation><folder>x</folder><filename>{filename}</filename>{size}{objects}</annotation>"
    )


def xml_object(label: str = "cat", corners: object = (11, 6, 60, 40), more: str = "") -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    pairs = zip(names, corners, strict=True)  # type: ignore[call-overload]
    box = "".join(f"<{name}>{value}</{name}>" for name, value in pairs)
    return f"<object><name>{label}</name>{more}<bndbox>{box}</bndbox></object>"


def voc(**settings: object) -> Voc:
    return Voc.model_validate({"name": "a", "path": "xml", "media_root": "jpg"} | settings)


def test_pixels_are_numbered_from_one_and_other_fields_are_kept(tmp_path: Path) -> None:
    fields = "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><id>007</id>"
    part = (
        "<part><name>head</name><bndbox><xmin>21</xmin><ymin>11</ymin><xmax>30</xmax>"
        "<ymax>20.5</ymax></bndbox></part>"
    )
    both = xml_object(more=fields + part) + xml_object("dog", (1, 1, 100, 50))
    write_files(tmp_path, {"jpg/a.jpg": PHOTO, "xml/b.xml": xml(both)})
    found = read_annotated(voc(), tmp_path)
    size = {"width": 100, "height": 50, "depth": 3}
    assert found.records == {
        "xml/b.xml": {
            "image": "jpg/a.jpg",
            "text": [],
            "objects": [
                {"label": "cat", "box": [100, 100, 600, 800], "attributes":
                    {"pose": "Left", "truncated": 1, "difficult": 0, "id": "007"}},
                {"label": "head", "box": [200, 200, 300, 410], "attributes": {"part_of": 0}},
                {"label": "dog", "box": [0, 0, 1000, 1000]},
            ],
            "meta": {"folder": "x", "filename": "a.jpg", "size": size},
        }
    }  # fmt: skip
    assert found.failures == {}
    assert read_all(voc(), str(tmp_path))[0].records["id"].to_pylist() == [record_id("a", "b.xml")]


@pytest.mark.parametrize(("filename", "kept_as"), [
    ("a.jpg", "a.jpg"),
    ("a.JPG", "a.png"),
    ("C:\\photos\\a.jpg", "a.jpg"),
    ("/home/me/a.jpg", "a.jpg"),
    ("", "b.jpg"),
    ("renamed.jpg", "b.jpg"),
])  # fmt: skip
def test_an_image_is_found_by_its_name_or_that_of_its_annotation(
    tmp_path: Path, filename: str, kept_as: str
) -> None:
    write_files(tmp_path, {f"jpg/{kept_as}": PHOTO, "xml/b.xml": xml("", filename)})
    assert read_annotated(voc(), tmp_path).records["xml/b.xml"]["image"] == f"jpg/{kept_as}"


def test_images_are_beside_the_annotations_or_in_the_same_folders_below_media_root(
    tmp_path: Path,
) -> None:
    other = make_image(100, 50, seed=3)
    write_files(tmp_path, {"xml/one/a.xml": xml(""), "xml/two/a.xml": xml("")})
    write_files(tmp_path, {"jpg/one/a.jpg": PHOTO, "jpg/two/a.jpg": other, "xml/two/a.jpg": PHOTO})
    found = read_annotated(voc(), tmp_path).records
    assert [row["image"] for row in found.values()] == ["jpg/one/a.jpg", "jpg/two/a.jpg"]
    beside = read_annotated(voc(media_root=None), tmp_path)
    assert beside.records["xml/two/a.xml"]["image"] == "xml/two/a.jpg"
    assert beside.failures == {"one/a.xml": ("MediaError", (
        "there is no image for this annotation file in xml/one: looked for a.jpg, a. Copy "
        "the image to this folder, or set media_root to the folder of the images."))}  # fmt: skip


LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">
<!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<annotation><filename>&lol2;</filename></annotation>"""
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
DEEP = "<annotation>" + "<a>" * 100_000 + "</a>" * 100_000 + "</annotation>"
NO_BOX = "<object><name>cat</name></object>"
UNNAMED = "<object><bndbox/></object>"
BROKEN: dict[str, tuple[bytes | str, str, str]] = {
    "laughs": (LAUGHS, "FileError", "line 1: the file declares a document type"),
    "outside": (OUTSIDE, "FileError", "line 1: the file declares a document type"),
    "deep": (DEEP, "FileError", "line 1: elements are nested more than 64 levels deep"),
    "cut": (xml("")[:50], "FileError", "the XML is broken: "),
    "empty": ("", "FileError", "the XML is broken: no element found"),
    "utf8": (xml("").encode() + b"\xff", "FileError", "the XML is broken: "),
    "entity": (xml("&lol;"), "FileError", "the XML is broken: undefined entity"),
    "encoding": ('<?xml version="1.0" encoding="ebcdic-9"?><annotation/>', "FileError", "XML"),
    "other": (
        "<html/>",
        "FileError",
        "the root element is <html>, not <annotation>. If this is no annotation file, leave it out",
    ),
    "no box": (xml(NO_BOX), "RowError", "object 0 has no <bndbox>"),
    "rotated": (
        xml("<object><name>a</name><robndbox/></object>"),
        "RowError",
        "object 0 has a <robndbox>, a rotated box, which is not supported. Export",
    ),
    "unnamed": (xml(xml_object() + UNNAMED), "RowError", "object 1 has no <name>"),
    "words": (
        xml(xml_object(corners="abcd")),
        "RowError",
        "<xmin> of <bndbox> is 'a', not a number",
    ),
    "no size": (xml("", size="<size/>"), "RowError", "<width> of <size> is None, not a number"),
    "zero": (xml("", size=SIZE.replace("100", "0")), "RowError", "an image size of 0 x 50"),
    "aspect": (
        xml("", size=SIZE.replace("100", "50")),
        "RowError",
        "Check that the annotations belong to this image: the aspect ratios differ.",
    ),
    "infinite": (
        xml(xml_object(corners=("inf", 1, 2, 3))),
        "RowError",
        "are impossible on an image",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_fails_alone(tmp_path: Path, name: str) -> None:
    data, error, fault = BROKEN[name]
    write_files(tmp_path, {"jpg/a.jpg": PHOTO, "xml/b.xml": data})
    write_files(tmp_path, {f"xml/{n}.xml": xml(xml_object() * 4) for n in "ac"})
    found = read_annotated(voc(), tmp_path)
    assert [*found.records] == ["xml/a.xml", "xml/c.xml"]
    assert [*found.failures] == ["b.xml"]
    assert found.failures["b.xml"][0] == error
    assert fault in found.failures["b.xml"][1]


def test_a_file_too_large_for_one_image_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Voc, "max_bytes", 100)
    write_files(tmp_path, {"jpg/a.jpg": PHOTO, "xml/b.xml": xml(xml_object())})
    [(error, fault)] = read_annotated(voc(), tmp_path).failures.values()
    assert error == "FileError"
    assert "bytes, over the limit of 100 bytes" in fault


def test_the_space_is_checked_over_a_group_of_files_that_the_error_names(
    tmp_path: Path,
) -> None:
    """One box that reaches out of its image is no evidence against the space; eight are."""
    wide = {f"xml/{n}.xml": xml(xml_object(corners=(60, 20, 70, 45))) for n in range(8)}
    write_files(tmp_path, {"jpg/a.jpg": PHOTO, **wide})
    coco = Space(form="xywh", unit="pixel")
    with pytest.raises(InputError) as raised:
        read_annotated(voc(space=coco), tmp_path)
    assert "8 of 8 boxes do not fit the coordinate space 'xywh pixel'" in raised.value.fault
    assert "Rows 0.xml, 1.xml, 2.xml, 3.xml, 4.xml and 3 more" in raised.value.fault
    assert "'xyxy pixel'" in raised.value.fix
    assert len(read_annotated(voc(space=coco, trust=True), tmp_path).records) == 8
    assert len(read_annotated(voc(), tmp_path).records) == 8


def test_a_new_file_changes_no_group_but_its_own() -> None:
    files = [File(f"xml/{n}.xml", f"{n}.xml", 1, 0) for n in range(20_000)]
    groups = voc().groups(files[::-1])
    assert [f for group in groups for f in group] == sorted(files, key=lambda f: f.name)
    assert 4 <= len(groups) <= 20_000 / file_per_image.GROUP_FILES * 3
    without = voc().groups([file for file in files if file != groups[2][5]])
    assert [a for a, b in zip(groups, without, strict=True) if a != b] == [groups[2]]


@pytest.mark.parametrize(("data", "is_voc"), [
    (b"<annotation>\n\t<folder>x</folder>", True),
    (b'\xef\xbb\xbf<?xml version="1.0"?>\n<annotation verified="yes">', True),
    (b"<annotation><object><name>1</name><nobndbox>1</nobndbox>", False),
    (b"<html><body>", False),
    (b'{"annotation": 1}', False),
    (b"", False),
])  # fmt: skip
def test_files_are_recognised_by_their_content(data: bytes, is_voc: bool) -> None:
    assert Voc.sniff(Head(File("a.xml", "a.xml", len(data), 0), data)) is is_voc


def test_real_raccoons_have_the_boxes_of_their_own_table(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "grounding/raccoon"
    source = {"name": "a", "reader": "voc", "path": str(folder / "annotations")}
    made = run_recipe(tmp_path, source | {"media_root": str(folder / "images")})
    lines = (folder / "data/raccoon_labels.csv").read_text().splitlines()[1:]
    expected: dict[str, list[list[float]]] = {}
    for line in lines:
        name, width, height, _, *corners = line.split(",")
        x1, y1, x2, y2 = map(int, corners)
        w, h = int(width) / 1000, int(height) / 1000
        expected.setdefault(name.removesuffix(".jpg"), []).append(
            [(x1 - 1) / w, (y1 - 1) / h, x2 / w, y2 / h]
        )
    xmls = sorted((folder / "annotations").glob("*.xml"))
    assert made.accounts["read a"] == (len(xmls), len(xmls), {}, {})
    reader = voc(path=str(folder / "annotations"), media_root=str(folder / "images"))
    records = summarised(read_all(reader)).records
    for path in xmls:
        boxes = [one["box"] for one in records[str(path)]["objects"]]
        assert boxes == [pytest.approx(b, abs=0.001) for b in expected[path.stem]]
