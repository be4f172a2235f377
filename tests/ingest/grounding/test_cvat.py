"""Each image of a CVAT export becomes one record with its shapes, or one failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.ingest import sniff
from curate.ingest.grounding.cvat import Cvat
from curate.ingest.grounding.voc import Voc
from curate.ingest.reader import Head
from filters.objects.masks import Masks
from manifests.storage import File
from tests.filters.rows import answers
from tests.ingest.grounding.reading import PHOTO, read_annotated, read_source, write_files
from tests.ingest.test_counts import counted
from tests.runs import run_recipe


def cvat(**settings: Any) -> Cvat:
    return Cvat.model_validate({"name": "a", "path": "a.xml"} | settings)


def image(*shapes: str, name: str = "a.jpg", more: str = "") -> str:
    inside = "".join(shapes)
    return f'<image id="0" name="{name}" width="100" height="50"{more}>{inside}</image>'


def export(*images: str) -> str:
    head = "<version>1.1</version><meta><task><name>image</name></task></meta>"
    return f"<?xml version='1.0'?><annotations>{head}{''.join(images)}</annotations>"


def read(base: Path, *images: str, **settings: Any) -> Any:
    write_files(base, {"a.xml": export(*images), "images/a.jpg": PHOTO})
    return read_annotated(cvat(**settings), base)


SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "box": (
        '<box label="cat" xtl="10" ytl="5" xbr="30" ybr="10" occluded="1" source="manual">'
        '<attribute name="colour"> red </attribute></box>',
        {"box": [100, 100, 300, 200],
         "attributes": {"shape": "box", "occluded": 1, "source": "manual",
                        "attributes": {"colour": "red"}}},
    ),
    "rotated box": (
        '<box label="cat" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.00"/>',
        {"box": [150, 100, 250, 500], "polygon": [[250, 100, 250, 500, 150, 500, 150, 100]],
         "attributes": {"shape": "box", "rotation": "90.00"}},
    ),
    "polygon": (
        '<polygon label="cat" points="10.00,5.00;20,5;20,10.5" z_order="2"/>',
        {"polygon": [[100, 100, 200, 100, 200, 210]],
         "attributes": {"shape": "polygon", "z_order": 2}},
    ),
    "polyline": (
        '<polyline label="cat" points="10,5;20,5"/>',
        {"polygon": [[100, 100, 200, 100]], "attributes": {"shape": "polyline"}},
    ),
    "point": (
        '<points label="cat" points="10,5"/>',
        {"point": [100, 100], "attributes": {"shape": "points"}},
    ),
    "ellipse": (
        '<ellipse label="cat" cx="50" cy="25" rx="10" ry="5" rotation="90"/>',
        {"box": [450, 300, 550, 700],
         "attributes": {"shape": "ellipse", "cx": 50, "cy": 25, "rx": 10, "ry": 5,
                        "rotation": 90}},
    ),
    "skeleton": (
        '<skeleton label="cat"><points label="eye" outside="0" points="10,5"/></skeleton>',
        {"attributes": {"shape": "skeleton",
                        "points": [{"label": "eye", "outside": 0, "points": [10, 5]}]}},
    ),
    "mask": (
        '<mask label="cat" rle="1, 2, 1" left="10" top="5" width="2" height="2"/>',
        {"box": [100, 100, 120, 140],
         "attributes": {"shape": "mask",
                        "rle": {"size": [50, 100], "counts": [506, 1, 48, 1, 4444]}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHAPES)
def test_a_shape_is_an_object_and_nothing_of_it_is_lost(tmp_path: Path, kind: str) -> None:
    shape, wanted = SHAPES[kind]
    found = read(tmp_path, image(shape, more=' subset="train"'))
    assert found.failures == {}
    assert found.records == {
        "a.xml#0": {
            "image": "images/a.jpg",
            "text": [],
            "objects": [{"label": "cat", **wanted}],
            "meta": {"id": 0, "name": "a.jpg", "subset": "train"},
        }
    }


def test_the_step_masks_reads_the_mask(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.xml": export(image(SHAPES["mask"][0])), "images/a.jpg": PHOTO})
    [batch] = read_source(cvat(), tmp_path)
    found = answers(Masks(overwrite=True, to=("box",)), batch.records)
    assert found["objects"][0][0]["box"] == [100, 100, 120, 140]


def test_tags_are_kept_and_each_shape_that_fails_marks_its_image(tmp_path: Path) -> None:
    shapes = [
        '<tag label="good" source="manual"/>', SHAPES["box"][0], '<cuboid label="cat"/>',
        '<box label="cat" xtl="10" ytl="5" xbr="x" ybr="10"/>', '<polygon points="1,2;3,4;5,6"/>',
        '<polygon label="cat" points="1,2"/>', '<polygon label="cat" points="1,2,3"/>',
        '<mask label="cat" rle="1, 2" left="10" top="5" width="2" height="2"/>',
        '<mask label="cat" rle="a" left="10" top="5" width="2" height="2"/>',
        '<mask label="cat" rle="1, 3" left="99" top="5" width="2" height="2"/>',
        '<mask label="cat" rle="0, 12" left="1" top="5" width="-3" height="-4"/>',
    ]  # fmt: skip
    found = read(tmp_path, image(*shapes))
    row = found.records["a.xml#0"]
    assert row["meta"]["tags"] == [{"label": "good", "source": "manual"}]
    assert row["meta"]["curate.lost"] == {"annotations": 9}
    assert len(row["objects"]) == 1
    assert {key: message for key, (_, message) in found.failures.items()} == {
        "a.xml#0.cuboid[1]": "shape 1, a <cuboid>: a shape of this kind is not supported. Draw a "
        "box, a polygon or a mask, or leave the shape in quarantine.",
        "a.xml#0.box[2]": "shape 2, a <box>: 'xbr' is 'x', not a number",
        "a.xml#0.polygon[3]": "shape 3, a <polygon>: the <polygon> has no attribute `label`. "
        "Write the label of the shape.",
        "a.xml#0.polygon[4]": "shape 4, a <polygon>: the <polygon> has 1 points, not 3 or more",
        "a.xml#0.polygon[5]": "shape 5, a <polygon>: 'points' is '1,2,3', not x,y;x,y;...",
        "a.xml#0.mask[6]": "shape 6, a <mask>: the run lengths in 'rle' add up to 3 pixels, but "
        "the mask has 2 x 2",
        "a.xml#0.mask[7]": "shape 7, a <mask>: 'rle' is 'a', not run lengths such as 3,2,4",
        "a.xml#0.mask[8]": "shape 8, a <mask>: the mask of 2 x 2 pixels at 99, 5 is not inside the "
        "image of 100 x 50",
        "a.xml#0.mask[9]": "shape 9, a <mask>: the mask has a size of -3 x -4 pixels, but both "
        "sides must be positive",
    }


def test_what_has_two_readings_is_refused_until_a_setting_chooses(tmp_path: Path) -> None:
    points = '<points label="cat" points="10,5;20,5"/>'
    part = '<box label="dog" xtl="{}" ytl="5" xbr="30" ybr="10" group_id="3"/>'
    parts = part.format(10) + part.format(20)
    refused = read(tmp_path, image(points), image(parts, name="b.jpg")).failures
    assert {error for error, _ in refused.values()} == {"RowError"}
    assert refused["a.xml#0"][1] == (
        "a <points> shape with the label 'cat' has 2 points, which may be 2 objects, or the "
        "landmarks of one object. Set `points` to objects or landmarks."
    )
    assert refused["a.xml#1"][1] == (
        "several shapes with the label 'dog' have the group_id 3, so these shapes may be the "
        "parts of one object, or several objects. Set the setting `group_id` of the source to "
        "parts or objects."
    )
    both = image(points + parts)
    several = read(tmp_path, both, points="objects", group_id="objects").records["a.xml#0"]
    assert [one["label"] for one in several["objects"]] == ["cat", "cat", "dog", "dog"]
    assert [one["point"] for one in several["objects"][:2]] == [[100, 100], [200, 100]]
    one = read(tmp_path, both, points="landmarks", group_id="parts").records["a.xml#0"]["objects"]
    assert one == [
        {"label": "cat", "attributes": {"shape": "points", "points": [[10, 5], [20, 5]]}},
        {"label": "dog", "box": [100, 100, 300, 200],
         "attributes": {"shape": "box", "group_id": 3,
                        "parts": [{"box": [10, 5, 30, 10]}, {"box": [20, 5, 30, 10]}]}},
    ]  # fmt: skip


def test_the_points_of_one_shape_are_no_group(tmp_path: Path) -> None:
    points = image('<points label="cat" points="10,5;20,5" group_id="3"/>')
    several = [
        read(tmp_path, points, points="objects", group_id=group).records["a.xml#0"]["objects"]
        for group in (None, "parts", "objects")
    ]
    assert [[one["point"] for one in objects] for objects in several] == [
        [[100, 100], [200, 100]]
    ] * 3


def test_an_image_of_no_size_fails_alone(tmp_path: Path) -> None:
    bad = image(name="b.jpg").replace('"100" height="50"', '"-100" height="-50"')
    found = read(tmp_path, bad, image())
    assert [*found.records] == ["a.xml#1"]
    assert found.failures["a.xml#0"][1].startswith(
        "the <image> states a size of -100 x -50 pixels, which must be positive. Write"
    )


def test_what_is_complete_before_broken_xml_is_read(tmp_path: Path) -> None:
    text = export(image(), image(name="b.jpg"), "&", image(name="c.jpg"))
    write_files(tmp_path, {"a.xml": text, "images/a.jpg": PHOTO, "images/b.jpg": PHOTO})
    total, failures = counted(cvat(), tmp_path)
    assert str(total) == "elements 3 = 2 in 2 records + 1 failed"
    assert failures == [("FileError", 1, 1)]


def test_names_are_compared_without_their_escapes(tmp_path: Path) -> None:
    found = read(tmp_path, image(name="caf&#233;.jpg"), image(name="caf\u00e9.jpg"))
    assert [fault for _, fault in found.failures.values()] == [
        "several images have the name 'caf\u00e9.jpg', so it is not known which of the shapes "
        "belong to the file of this name. Give each image its own name, or export the tasks one by "
        "one."
    ] * 2


def test_images_are_found_by_their_own_names_only(tmp_path: Path) -> None:
    write_files(tmp_path, {"images/x/b.jpg": PHOTO, "images/c &amp;.jpg": PHOTO, "d.jpg": PHOTO})
    write_files(tmp_path, {"images/train/e.jpg": PHOTO, "images/c &.jpg": PHOTO})
    found = read(
        tmp_path, image(name="v/x/b.jpg"), image(name="c &amp;.jpg"), image(name="u/d.jpg"),
        image(name="w/d.jpg"), image(name="e.jpg", more=' subset="train"'), image(name="gone"),
        image(), image(), image(name=""),
    )  # fmt: skip
    assert {key: row["image"] for key, row in found.records.items()} == {
        "a.xml#0": "images/x/b.jpg", "a.xml#1": "images/c &.jpg", "a.xml#4": "images/train/e.jpg",
    }  # fmt: skip
    faults = {key: message for key, (_, message) in found.failures.items()}
    assert "may also be 'w/d.jpg'" in faults["a.xml#2"]
    assert "may also be 'u/d.jpg'" in faults["a.xml#3"]
    assert "gone" in faults["a.xml#5"]
    assert faults["a.xml#6"].startswith("several images have the name 'a.jpg'")
    assert faults["a.xml#8"] == (
        "the <image> has no attribute `name`. Write the path of the image into the attribute "
        "`name`."
    )


def test_tracks_are_refused_and_all_elements_are_counted(tmp_path: Path) -> None:
    box = SHAPES["box"][0]
    text = export(image(box), "<track id='0' label='car'/>", image("<cuboid/>", name="b.jpg"))
    write_files(tmp_path, {"a.xml": text, "images/a.jpg": PHOTO, "images/b.jpg": PHOTO})
    total, failures = counted(cvat(), tmp_path)
    assert str(total) == "elements 3 = 2 in 2 records + 1 failed"
    assert sorted(failures) == [("RowError", 0, 1), ("RowError", 1, 1)]
    cut = text[: text.index("<cuboid")]
    write_files(tmp_path, {"a.xml": cut})
    total, failures = counted(cvat(), tmp_path)
    assert str(total) == "elements 3 = 1 in 1 record + 2 failed"
    assert sorted(failures) == [("FileError", 1, 1), ("RowError", 1, 1)]


def test_an_export_is_no_file_of_voc_and_is_read_by_the_command_line(tmp_path: Path) -> None:
    data = export(image(SHAPES["box"][0])).encode()
    head = Head(File("a.xml", "a.xml", len(data), 0), data)
    assert sniff.matching_readers(head, {"cvat": Cvat, "voc": Voc}) == ["cvat"]
    assert not Cvat.sniff(head._replace(data=b"<annotation><filename>a.jpg</filename>"))
    write_files(tmp_path, {"a.xml": data, "images/a.jpg": PHOTO})
    made = run_recipe(tmp_path, {"name": "a", "reader": "cvat", "path": "a.xml"})
    assert made.accounts["read a"] == (1, 1, {}, {})


def test_an_image_in_another_element_is_one_failure_by_name(tmp_path: Path) -> None:
    inner = image(SHAPES["box"][0], name="b.jpg")
    text = export(
        "<!-- <image name='no'/> -->", "<other>" + inner + "</other>",
        image(SHAPES["box"][0], "<!-- <image/> -->", inner), image("<track id='1'/>", name="gone"),
    ).replace("<name>image</name>", "<name><![CDATA[<image name='no'/>]]></name>")  # fmt: skip
    write_files(tmp_path, {"a.xml": text, "images/a.jpg": PHOTO, "images/b.jpg": PHOTO})
    total, _ = counted(cvat(), tmp_path)
    assert str(total) == "elements 5 = 1 in 1 record + 4 failed"
    found = read_annotated(cvat(), tmp_path)
    assert [*found.records] == ["a.xml#0"]
    assert len(found.records["a.xml#0"]["objects"]) == 1
    faults = {key: message for key, (_, message) in found.failures.items()}
    assert faults["a.xml#nested[0]"] == (
        "the <image> with the name 'b.jpg' is inside a <other>, so it is not read. Move it to the "
        "children of <annotations>."
    )
    assert {*faults} == {"a.xml#nested[0]", "a.xml#nested[1]", "a.xml#1", "a.xml#nested[2]"}
