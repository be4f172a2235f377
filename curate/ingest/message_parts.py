"""Reads the parts of a message: texts, and images that a part may name or hold."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

from curate.ingest.images import OpenedImage, keep_image
from curate.ingest.media_root import open_below
from curate.ingest.reader import Context
from manifests.errors import RowError

_KINDS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "video": "video",
    "video_url": "video",
}
_NAMES = ("image", "image_url", "path", "url", "bytes", "base64")
_SIZES = (
    "detail", "min_pixels", "max_pixels", "resized_width", "resized_height", "width", "height",
)  # fmt: skip
"""Fields that a message part with an image may have besides the image: they only set the size or
the level of detail at which a model sees it."""


class ChatSegment(NamedTuple):
    """One segment of a conversation: a text, or (if `text` is None) an image or a video.

    `role` is user, assistant or system, and `kind` is text, image or video. `image` is the index of
    an image in the sample or, if the message itself has the image, the path, the data url or the
    bytes of the image. `loss` states whether the model learns to write the text; None if the turn
    does not state this.
    """

    role: str
    kind: str
    text: str | None
    image: int | str | bytes | None = None
    loss: bool | None = None


def part_segment(number: int, role: str, part: object) -> ChatSegment:
    """Converts one part of a chat message (of turn `number`) to a segment. The image of the segment
    is None if the part does not name an image.

        {type: text, text: Hi}                           -> the text "Hi"
        {type: video}                                    -> a video
        {type: image}                                    -> the next image of the sample
        {type: image, index: 1}                          -> 1
        {type: image, image: a.jpg}                      -> "a.jpg"
        {type: image_url, image_url: {url: "data:..."}}  -> "data:..."
        {type: image, image: {bytes: ..., path: null}}   -> the bytes

    Raises RowError for any other part, and for an image part with an unknown field, because this
    field may name the image.
    """
    fields = part if isinstance(part, Mapping) else {}
    kind = _KINDS.get(str(fields.get("type")))
    if kind == "image":
        return ChatSegment(role, kind, None, _image(number, fields))
    if kind == "video":
        return ChatSegment(role, kind, None)
    text = fields.get("text")
    if kind is None:
        raise RowError(
            f"turn {number} has the part {part!r:.80}, which is not an object of the type text, "
            "image or video"
        )
    if not isinstance(text, str):
        raise RowError(f"turn {number} has a part whose field 'text' is {text!r:.80}, not text")
    return ChatSegment(role, kind, text)


def image_source(value: object) -> str | bytes | None:
    """Returns the path, data url or bytes of an image. `value` is one of these, or a dict such as
    {bytes, path} or {url}. Returns None if `value` is null, or if the dict has none of these.
    Raises RowError for any other value, such as an empty text."""
    if isinstance(value, Mapping):
        given = [value[name] for name in _NAMES if value.get(name) is not None]
        if value.get("base64") is not None:
            return f"data:;base64,{value['base64']}"
        held = [value["bytes"]] if value.get("bytes") is not None else []
        if held and not isinstance(held[0], bytes):
            fault = f"the field 'bytes' of an image is {held[0]!r:.80}, which is not binary data."
            raise RowError(
                fault,
                fix="In JSON, give an image as a path, as a data url, or in the field `base64`.",
            )
        return image_source((held or given or [None])[0])
    if value is None or (isinstance(value, str | bytes) and value):
        return value
    raise RowError(f"{value!r:.80} is not an image: neither a path, a data url nor bytes.")


def open_source(source: str | bytes, root: str | None, context: Context) -> OpenedImage | RowError:
    """Opens an image. `source` is its path below the folder `root`, a data url, or its bytes. The
    bytes of an image or of a data url are copied to a file beside the output part. An error is
    returned, not raised; if `root` is None, a path is an error."""
    if isinstance(source, bytes):
        return keep_image(memoryview(source), context, with_orientation=True)
    if source.startswith("data:"):
        data = _data_url(source)
        return data if isinstance(data, RowError) else open_source(data, root, context)
    if root is None:
        fault = f"the image has no bytes, only the path {source!r:.200}."
        return RowError(fault, fix="Set media_root to the folder of the image.")
    return open_below(root, source, context.media)


def _data_url(url: str) -> bytes | RowError:
    """Decodes the bytes of a data url, `data:image/png;base64,iVBOR...`. Returns an error if the
    url has another form, or if its base64 is malformed."""
    head, comma, data = url.partition(",")
    try:
        if comma and head.endswith(";base64"):
            return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        pass
    fault = f"the image is {url!r:.60}, which is not a data url with sound base64."
    return RowError(fault, fix="Write it as data:image/png;base64,... or as a path.")


def _image(number: int, part: Mapping[str, Any]) -> int | str | bytes | None:
    """Returns what identifies the image of a message part: an index, a path, a data url or bytes;
    None if the part has none of these. `number` is the number of the turn, for error messages."""
    given = {name: v for name, v in part.items() if v is not None and v != "" and name != "type"}
    unknown = given.keys() - {*_NAMES, *_SIZES, "index"}
    if unknown:
        fault = f"turn {number}: the part {part!r:.80} has the unknown field {min(unknown)!r}."
        known = ", ".join((*_NAMES, "index"))
        raise RowError(
            fault, fix=f"Remove this field. If it names the image, use one of these: {known}."
        )
    index, named = given.get("index"), {k: given[k] for k in _NAMES if k in given}
    if len(named) + (index is not None) > 1:
        fault = f"turn {number}: the part {part!r:.80} names its image in several fields."
        raise RowError(fault, fix="Keep only one of these fields.")
    if index is not None:
        if isinstance(index, bool) or not isinstance(index, int):
            raise RowError(f"turn {number}: the index {index!r:.80} is not a whole number.")
        return index
    if not named:
        return None
    source = image_source(named if "base64" in named else next(iter(named.values())))
    if source is None:
        raise RowError(f"turn {number}: the part {part!r:.80} has neither bytes nor a path.")
    return source
