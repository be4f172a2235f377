"""Reads the YAML file of a prompt, and fills its placeholders."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

from manifests import storage
from manifests.errors import RecipeError
from manifests.media import Reference
from manifests.step import Message

_FOLDER = Path(__file__).parent
PACKAGED = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""The names of the prompts that come with this package."""
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
Text = Annotated[str, Field(min_length=1)]


class Expects(BaseModel):
    """What a prompt requires of a reply that becomes the text of a record: its length in
    characters, whether it may have markup or be JSON, and whether it may be a copy of the record's
    text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_chars: NonNegativeInt = 0
    max_chars: PositiveInt | None = None
    markup: bool = False
    may_copy: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Expects:
        if self.max_chars is not None and self.min_chars > self.max_chars:
            raise ValueError(
                f"min_chars {self.min_chars} is greater than max_chars {self.max_chars}"
            )
        return self


class Prompt(BaseModel):
    """The texts of a prompt. Words in braces, such as `{raw_text}`, are placeholders; each step
    states which placeholders it fills.

    `system` is the system message; if it is empty, none is sent. `text` is the user's message about
    a record with a text. `without_text` is the message about a record without a text; if it is
    empty, `text` is used for all records. `in_language` is added to the message if the record's
    language is known, and `in_any_language` if it is not. `expects` states what a good reply is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    version: PositiveInt
    system: str = ""
    text: Text
    without_text: str = ""
    in_language: str = ""
    in_any_language: str = ""
    expects: Expects = Expects()

    def filled(
        self, values: Mapping[str, str], language: str | None = None, has_text: bool = True
    ) -> str:
        """Returns the user's message about a record, with `values` and `language` in place of the
        placeholders. Braces in the values stay as they are."""
        text = self.text if has_text or not self.without_text else self.without_text
        text += self.in_language if language else self.in_any_language
        filled = {**values, "language": language or ""}
        return _PLACEHOLDER.sub(lambda found: filled.get(found[1], found[0]), text).strip()

    def messages(self, *parts: str | Reference) -> tuple[Message, ...]:
        """Returns the messages of a request: the system message, if there is one, and the user's
        message with these texts and images."""
        user = Message("user", parts)
        return (Message("system", (self.system,)), user) if self.system else (user,)

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def asks_for_language(self) -> bool:
        """Whether the prompt asks for a reply in the language of the record, if this language is
        known."""
        return "{language}" in self.in_language

    def pieces(self) -> tuple[str, ...]:
        """Returns the parts of the prompt that are the same for all records: its texts, split at
        line breaks and placeholders."""
        texts = (self.system, self.text, self.without_text, self.in_language, self.in_any_language)
        pieces = (one for text in texts for one in re.split(r"\n|\{[a-z_]+\}", text))
        return tuple(dict.fromkeys(filter(None, pieces)))

    def placeholders(self) -> set[str]:
        """Returns the names of the placeholders in all texts of the prompt except `system`."""
        texts = (self.text, self.without_text, self.in_language, self.in_any_language)
        return {name for text in texts for name in _PLACEHOLDER.findall(text)}


_FIELDS = f"The fields of a prompt are: {', '.join(Prompt.model_fields)}."


def prompt_file(prompt: str, base: str) -> str:
    """Returns the path of a prompt's file. `prompt` is the name of a prompt of this package, or a
    path, which may be relative to `base`."""
    if prompt in PACKAGED:
        return str(_FOLDER / f"{prompt}.yaml")
    return storage.resolve(base, prompt)


def load_prompt(path: str, filled: Collection[str] = ("raw_text", "language")) -> Prompt:
    """Reads a prompt from its file. `filled` are the names of the placeholders that the step fills.
    Raises RecipeError if the file is not a valid prompt, or if it has another placeholder."""
    try:
        prompt = Prompt.model_validate(yaml.safe_load(storage.read_bytes(path)))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fault = f"the prompt is not YAML: {' '.join(str(error).split())}"
        raise RecipeError(fault, path, _FIELDS) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        fault = f"the prompt is wrong at {where}: {first['msg']}"
        raise RecipeError(fault, path, _FIELDS) from None
    unknown = sorted(prompt.placeholders() - set(filled))
    if unknown:
        fault = f"the prompt has the placeholder {{{unknown[0]}}}, which the step does not fill"
        known = ", ".join(f"{{{name}}}" for name in sorted(filled))
        raise RecipeError(fault, path, f"The step fills {known}.")
    return prompt
