"""Cases of annotated images."""

from __future__ import annotations

import sys

from tests.cases.case import Case, Check, equal, has

BOX = [156.25, 208.33, 468.75, 416.67]


def coco_annotation_ids_restart(case: Case) -> None:
    out = case.good_run()
    equal(len(out.objects()), 11)
    equal(out.counts("read s")[2], 0)


def coco_crowd_counting(case: Case) -> None:
    asked = "".join(case.good_run().answers())
    assert "block" not in asked, f"a crowd is counted: {asked:.400}"


def coco_exif_label_studio(case: Case) -> None:
    out = case.good_run()
    faults = {one.origin: one.message for one in out.finished.quarantine}
    boxes = {origin: box for origin, _, box in out.objects()}
    if boxes.get("a.json#1") != [666.67, 125.0, 833.33, 375.0]:
        has(faults["a.json#1"], "turned_sizes", "space")


def wrong_space_in_many_files(case: Case) -> None:
    for recipe in ("recipe.yaml", "one_file.yaml"):
        done = case.run(recipe, out=recipe[:-5])
        equal(done.code, 1)
        has(done.text, "xywh pixel", "xyxy pixel")


def coco_lost_annotation_counted(case: Case) -> None:
    out = case.good_run()
    asked = "".join(out.answers())
    if len(out.objects()) < 3:
        assert "How many" not in asked, f"an incomplete image is counted: {asked:.400}"


def coco_nested_id_large(case: Case) -> None:
    case.command(sys.executable, "gen.py")
    for recipe in ("small.yaml", "recipe.yaml"):
        equal(len(case.good_run(recipe, out=recipe[:-5]).objects()), 40)


def coco_odd_segmentations(case: Case) -> None:
    for row in case.good_run().records():
        assert row["objects"] or row["meta"].get("curate.lost"), row
        for one in row["objects"]:
            rings = one["polygon"] or []
            assert all(len(ring) == 8 for ring in rings) or one["box"], one
            if one["box"] and any(one["box"]) and one["label"] != "one point":
                equal([round(n, 2) for n in one["box"]], BOX)


def coco_two_images_one_id(case: Case) -> None:
    out = case.good_run()
    equal([box for _, _, box in out.objects()], [[78.12, 125.0, 140.62, 333.33]])
    equal(out.counts("read s"), (5, 1, 4))


def labelme_four_corners(case: Case) -> None:
    boxes = [box for _, _, box in case.good_run().objects()]
    equal(boxes, [BOX, [15.62, 20.83, 78.12, 125.0], BOX, BOX])


def labelme_group_counted(case: Case) -> None:
    out = case.good_run()
    wanted = [("zebra", BOX), ("cat", [156.25, 208.33, 470.31, 418.75])]
    equal([(label, box) for _, label, box in out.objects()], wanted)


def ms_swift_objects(case: Case) -> None:
    for recipe in ("recipe.yaml", "recipe2.yaml", "recipe3.yaml"):
        done = case.run(recipe, out=recipe[:-5])
        equal(done.code, 1)
        has(done.text, "ms_swift")
    case.write(
        "right.yaml",
        "name: t\nmax_quarantined: 10\n"
        "sources: [{name: s, reader: ms_swift, path: a.jsonl, media_root: img}]\n",
    )
    out = case.good_run("right.yaml", out="right")  # its rows have other numbers of names
    equal(len(out.records()) + len(out.finished.quarantine), 3)
    texts = [s["text"] for row in out.records() for s in row["content"] if s["text"]]
    assert not any("<bbox>" in text or "<ref-object>" in text for text in texts), texts


def yolo_track_conf_id(case: Case) -> None:
    out = case.good_run()
    equal(out.objects(), [])
    has(out.finished.quarantine[0].message, "track")
    right = case.good_run("recipe.yaml", "--set", "sources.s.tracks=true", out="tracks")
    equal(right.objects()[0][2], BOX)


def yolo_track_conf_id_one(case: Case) -> None:
    yolo_track_conf_id(case)


CHECKS: dict[str, Check] = {
    one.__name__: one
    for one in (
        coco_annotation_ids_restart, coco_crowd_counting, coco_exif_label_studio,
        coco_lost_annotation_counted, coco_nested_id_large,
        coco_odd_segmentations, coco_two_images_one_id, labelme_four_corners,
        labelme_group_counted, ms_swift_objects, yolo_track_conf_id, yolo_track_conf_id_one,
    )
}  # fmt: skip
CHECKS["coco_file_per_picture_wrong_space"] = wrong_space_in_many_files
