"""The words of questions: those that are published, word for word, and ours for variety."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from curate.compose.grounding.rendering import WRITES, Style, What

By = Literal["category", "label", "expression"]
"""One question for all labels of a record, one for each, or one for each expression."""
Templates = Annotated[
    tuple[str, ...] | None,
    Field(
        description="questions of your own instead of those that are built in, with {labels} or, "
        "by expression, {expression}"
    ),
]
BOXES_3D = (
    '`[{"bbox_3d":[x_center, y_center, z_center, x_size, y_size, z_size, roll, pitch, yaw],'
    '"label":"category"}]`'
)
"""How the format is told in questions (published, Qwen3-VL's cookbook 3d_grounding)."""

Form = Literal["json", "xml", "tags"]
FORMS: dict[Style, Form] = {"qwen3": "json", "qwen2.5": "json", "xml": "xml", "tags": "tags"}


class Template(NamedTuple):
    """A question with a place for what it is about. `published`: where it stands; "" for ours."""

    text: str
    published: str = ""

    def about(self, what: str) -> str:
        return _PLACE.sub(lambda _: what, self.text)


_PLACE = re.compile(r"\{(?:labels|expression)\}")
_WORDS = re.compile(r"\{(\w+)\}")
_REPORT = "Qwen3-VL report, appendix B"
_ODINW = f"{_REPORT} (to the colon); whole as Qwen's evaluation on ODinW is quoted by others"
_OTHERS_3D = "quoted as Qwen3-VL's by others (lmms-eval's task on SUN RGB-D)"

TEMPLATES: dict[tuple[Form, What, Literal["labels", "expression"]], tuple[Template, ...]] = {
    ("json", "boxes", "labels"): (
        Template(
            "Locate every instance that belongs to the following categories: '{labels}'. "
            "Report bbox coordinates in JSON format.",
            _ODINW,
        ),
        Template("Detect all of these in the image: {labels}. Answer with bbox_2d in JSON."),
        Template("Find every {labels} in the image. Give a bounding box and a label for each."),
        Template(
            "Which places in the picture show {labels}? List all bounding boxes in JSON format."
        ),
        Template("Draw a box around each instance of: {labels}. Output JSON."),
    ),
    ("json", "boxes", "expression"): (
        Template(
            'Locate every object that matches the description "{expression}" in the image. '
            "Report bbox coordinates in JSON format.",
            _REPORT,
        ),
        Template('Where is "{expression}"? Answer with bbox_2d in JSON.'),
        Template("Give the bounding box of what this describes: {expression}"),
        Template('Find "{expression}" in the picture, and output its box in JSON format.'),
    ),
    ("json", "points", "labels"): (
        Template("Point to every instance of: {labels}. Report point coordinates in JSON format."),
        Template("Mark each {labels} in the image with a point_2d, in JSON."),
        Template(
            "Which places in the picture show {labels}? Answer with a point for each, in JSON."
        ),
        Template("Locate all of these with points: {labels}. Output JSON."),
    ),
    ("json", "points", "expression"): (
        Template('Point to "{expression}" in the image. Report point coordinates in JSON format.'),
        Template("Which place does this describe: {expression}? Answer with point_2d in JSON."),
        Template('Where is "{expression}"? Give a point for each match, in JSON format.'),
    ),
    ("json", "boxes_3d", "labels"): (
        Template(
            "Locate the {labels} in the provided image and output their positions and dimensions "
            f"using 3D bounding boxes. The results must be in the JSON format: {BOXES_3D}.",
            _OTHERS_3D,
        ),
        Template(
            "Find all {labels} in this image. For each, give its 3D bounding box. The output "
            f"format is JSON: {BOXES_3D}."
        ),
        Template(f"Detect every {{labels}} in 3D. Answer in JSON: {BOXES_3D}."),
    ),
    ("json", "boxes_3d", "expression"): (
        Template(f'Give the 3D bounding box of "{{expression}}", in JSON: {BOXES_3D}.'),
        Template(f'Where is "{{expression}}" in space? Answer in JSON: {BOXES_3D}.'),
    ),
    ("xml", "points", "labels"): (
        Template("Point to every {labels}. Output the coordinates in XML format."),
        Template("Mark each instance of {labels} with a point, in XML."),
    ),
    ("xml", "points", "expression"): (
        Template("Point to {expression}. Output the coordinates in XML format."),
        Template('Where is "{expression}"? Answer with points in XML.'),
    ),
    ("tags", "boxes", "labels"): (
        Template("Detect all {labels}, and mark each with its box."),
        Template("Which places in the picture show {labels}? Give the box of each instance."),
        Template("Find every {labels} in the image, with boxes."),
    ),
    ("tags", "boxes", "expression"): (
        Template("Give the box of {expression}."),
        Template('Where is "{expression}"? Answer with its box.'),
    ),
}
"""By the answer's form, what is asked for, and what the question names. Those without a source
are ours."""

EVERYTHING: dict[What, tuple[Template, ...]] = {
    "boxes": (Template("Detect every object in the image, and give the bounding box of each."),),
    "points": (Template("Point to every object in the image."),),
    "boxes_3d": (Template("Detect every object in the image in 3D."),),
}
"""Asked where nothing is annotated, so that there is no label to name (ours)."""

COUNTING: dict[str, tuple[Template, ...]] = {
    "direct": (
        Template("How many instances of {labels} are in the image? Answer with a number."),
        Template("Count the instances of {labels}. Answer with the number alone."),
        Template('Number of "{labels}" in this picture:'),
    ),
    "boxes": (
        Template(
            "Count the instances of {labels}: first give the bounding box of each in JSON format, "
            "then their number."
        ),
        Template("Box every {labels} in the image in JSON format, then say how many there are."),
    ),
    "points": (
        Template(
            "Count the instances of {labels}: first point to each in JSON format, then give their "
            "number."
        ),
        Template("Point to every {labels} in the image in JSON format, then say how many."),
    ),
}
"""By the form of the answer (all ours: the report names the forms, section 3.2.4, not words)."""

ABSENT = (
    Template("There is no {labels} in the image."),
    Template("The image shows no {labels}."),
    Template("I cannot find {labels} in this picture."),
)
"""Answers in words to questions for what is not there (ours)."""


def check_asked(style: Style, what: What, templates: Sequence[str] | None, place: str) -> None:
    """ValueError for a style that does not write what is asked for, and as `check` does."""
    if what not in WRITES[style]:
        raise ValueError(f"style {style!r} writes {', '.join(WRITES[style])}, not {what}")
    if templates is not None and not templates:
        raise ValueError("templates: an empty list; null takes those that are built in")
    check(templates or (), place)


def check(templates: Sequence[str], place: str) -> None:
    """ValueError for a template that does not have the place, has another, or shows a medium."""
    for template in templates:
        names = set(_WORDS.findall(template))
        if names != {place}:
            told = ", ".join(f"{{{name}}}" for name in sorted(names)) or "no place"
            raise ValueError(f"the template {template!r:.80} has {told}, where {{{place}}} is due")
        if "<image>" in template or "<video>" in template:
            raise ValueError(f"the template {template!r:.80} has a media tag: pictures come first")
