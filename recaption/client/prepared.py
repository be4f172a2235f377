"""Prepares a request to be sent: its parameters, the files of its images, and the key of its
reply."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from manifests.media import Media, Reference
from manifests.step import Request, RequestStep
from recaption.client import wire


class Prepared(NamedTuple):
    """A request that is ready to be sent: the key of its reply, its parameters, and the bytes of
    its image files, which are not yet resized."""

    key: bytes
    parameters: dict[str, Any]
    files: dict[Reference, bytes]


def prepared(step: RequestStep, request: Request, bad_before: int, media: Media) -> Prepared:
    """Prepares a request of a step. `bad_before` is the number of bad replies to this request so
    far. Raises MediaError if an image cannot be read."""
    parameters = {**step.sampling(bad_before), **step.parameters, **request.parameters}
    files = {ref: media.read(ref) for ref in wire.images_of(request)}
    digests = {ref: hashlib.sha256(data).hexdigest() for ref, data in files.items()}
    model = (step.model, step.revision)
    key = wire.request_key(request, model, parameters, bad_before, step.image_pixels(), digests)
    return Prepared(key, parameters, files)
