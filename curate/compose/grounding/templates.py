"""Templates of questions: published templates word for word, and our own templates for variety."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from curate.compose.grounding.rendering import (
    PIXEL_STYLES,
    STYLE_GEOMETRIES,
    Geometry,
    Style,
)

QuestionBy = Literal["category", "label", "expression"]
"""category: one question for all labels of a record. label: one question for each label.
expression: one question for each expression (`text`)."""
OwnTemplates = Annotated[
    tuple[str, ...] | None,
    Field(
        description="your own questions instead of the built-in ones; each must contain "
        "{labels} or, with by: expression, {expression}"
    ),
]
FORMAT_3D = (
    '`[{"bbox_3d":[x_center, y_center, z_center, x_size, y_size, z_size, roll, pitch, yaw],'
    '"label":"category"}]`'
)
"""The format of 3D answers as questions describe it (published, Qwen3-VL's cookbook
3d_grounding)."""

AnswerForm = Literal["json", "xml", "tags"]
STYLE_FORMS: dict[Style, AnswerForm] = {
    "qwen3": "json",
    "qwen2.5": "json",
    "xml": "xml",
    "tags": "tags",
}
"""The form of the answers of each style."""
Placeholder = Literal["labels", "expression"]


class Template(NamedTuple):
    """A question with a placeholder, {labels} or {expression}, for the name that is asked for.
    `published` says where the question was published; it is "" for our own questions.

    `Template("Find {labels}.").fill("cat, dog") -> "Find cat, dog."`
    """

    text: str
    published: str = ""

    def fill(self, name: str) -> str:
        return _PLACEHOLDER.sub(lambda _: name, self.text)


_PLACEHOLDER = re.compile(r"\{(?:labels|expression)\}")
_IN_BRACES = re.compile(r"\{(\w+)\}")
_REPORT = "Qwen3-VL report, appendix B"
_ODINW = f"{_REPORT} (up to the colon); complete in others' quotes of Qwen's ODinW evaluation"
_OTHERS_3D = "quoted by others as Qwen3-VL's (lmms-eval's task on SUN RGB-D)"

TEMPLATES: dict[tuple[AnswerForm, Geometry, Placeholder], tuple[Template, ...]] = {
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
            f"using 3D bounding boxes. The results must be in the JSON format: {FORMAT_3D}.",
            _OTHERS_3D,
        ),
        Template(
            "Find all {labels} in this image. For each, give its 3D bounding box. The output "
            f"format is JSON: {FORMAT_3D}."
        ),
        Template(f"Detect every {{labels}} in 3D. Answer in JSON: {FORMAT_3D}."),
    ),
    ("json", "boxes_3d", "expression"): (
        Template(f'Give the 3D bounding box of "{{expression}}", in JSON: {FORMAT_3D}.'),
        Template(f'Where is "{{expression}}" in space? Answer in JSON: {FORMAT_3D}.'),
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
"""The templates by the form of the answer, the geometry in the answer, and the placeholder of the
question. Templates without a source are our own."""

EVERY_OBJECT: dict[Geometry, tuple[Template, ...]] = {
    "boxes": (Template("Detect every object in the image, and give the bounding box of each."),),
    "points": (Template("Point to every object in the image."),),
    "boxes_3d": (Template("Detect every object in the image in 3D."),),
}
"""Questions for a record without objects, which has no label to name (our choice)."""

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
"""Templates of counting questions, by the form of the answer. All of them are our own: the report
(section 3.2.4) names the forms, but has no templates."""

ABSENT_ANSWERS = (
    Template("There is no {labels} in the image."),
    Template("The image shows no {labels}."),
    Template("I cannot find {labels} in this picture."),
)
"""Answers in words to a question for a category that is not in the image (our choice)."""


def check_question_settings(
    style: Style, geometry: Geometry, templates: Sequence[str] | None, placeholder: str
) -> None:
    """Raises ValueError if the style cannot render the geometry, or if one of the templates cannot
    be used: each template must have the placeholder `placeholder`, such as "labels", and no other
    placeholder."""
    if geometry not in STYLE_GEOMETRIES[style]:
        known = ", ".join(STYLE_GEOMETRIES[style])
        raise ValueError(f"the style {style!r} supports {known}, but not {geometry}")
    if templates is not None and not templates:
        raise ValueError("templates: the list is empty; write null for the built-in templates")
    check_templates(templates or (), placeholder)


def check_pixel_settings(style: Style, given: Mapping[str, object]) -> None:
    """Raises ValueError if a recipe gives a setting that the style does not use: `resize` for a
    style with coordinates from 0 to 1000, `max_coordinate` for a style with coordinates in
    pixels."""
    in_pixels = style in PIXEL_STYLES
    unused = "max_coordinate" if in_pixels else "resize"
    if given.get(unused) is not None:
        unit = "pixels" if in_pixels else "thousandths of the image"
        raise ValueError(
            f"{unused} has no effect, because the style {style!r} has coordinates in {unit}; leave "
            f"out {unused}, or choose another style"
        )


def check_templates(templates: Sequence[str], placeholder: str) -> None:
    """Raises ValueError for a template without the placeholder, with another placeholder, or with a
    media tag."""
    for template in templates:
        names = set(_IN_BRACES.findall(template))
        if names != {placeholder}:
            found = ", ".join(f"{{{name}}}" for name in sorted(names)) or "no placeholder"
            raise ValueError(
                f"the template {template!r:.80} has {found}; it must have {{{placeholder}}}"
            )
        if "<image>" in template or "<video>" in template:
            raise ValueError(
                f"the template {template!r:.80} has a media tag. Remove the tag: the image always "
                "comes first"
            )
