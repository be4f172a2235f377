"""The base class of request steps whose replies are JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from manifests.media import Reference
from manifests.step import Message, Request
from recaption.prompts import Prompt, PromptedStep


class JsonStep(PromptedStep):
    """A step whose replies are JSON. The prompt states the form of the reply, and the request its
    JSON Schema, unless `structured` is false."""

    structured: bool = Field(
        True,
        description="send the JSON Schema of the reply; false: the prompt alone states the form, "
        "for endpoints without structured output",
    )

    def json_request(
        self, prompt: Prompt, parts: tuple[str | Reference, ...], schema: Mapping[str, Any]
    ) -> Request:
        system = (Message("system", (prompt.system,)),) if prompt.system else ()
        sent = schema if self.structured else None
        return Request((*system, Message("user", parts)), prompt.title, sent)
