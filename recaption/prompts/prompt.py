"""Reads the YAML file of a prompt, and fills its placeholders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from manifests import storage
from manifests.errors import RecipeError

_FOLDER = Path(__file__).parent
PACKAGED = tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))
"""The names of the prompts that come with this package."""
_PLACEHOLDER = re.compile(r"\{(raw_text|language)\}")
Text = Annotated[str, Field(min_length=1)]


class Prompt(BaseModel):
    """A prompt. `{raw_text}` in its texts stands for the text of the record, and `{language}` for
    its language.

    `system` is sent before, if it is given. `text` is used for a record with a text, and
    `without_text` for one without. `in_language` follows if the language is known, and
    `in_any_language` if it is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    version: PositiveInt
    system: str = ""
    text: Text
    without_text: Text
    in_language: str = ""
    in_any_language: str = ""

    def filled(self, raw_text: str, language: str | None) -> str:
        """Returns the prompt for a record. Braces in the record's text stay as they are."""
        text = self.text if raw_text else self.without_text
        text += self.in_language if language else self.in_any_language
        values = {"raw_text": raw_text, "language": language or ""}
        return _PLACEHOLDER.sub(lambda found: values[found[1]], text).strip()

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"


def prompt_file(prompt: str, base: str) -> str:
    """Returns the path of a prompt: one of PACKAGED, or the path of a YAML file."""
    if prompt in PACKAGED:
        return str(_FOLDER / f"{prompt}.yaml")
    return storage.resolve(base, prompt)


def load_prompt(path: str) -> Prompt:
    """Reads the file of a prompt. Raises RecipeError if it is no prompt."""
    try:
        return Prompt.model_validate(yaml.safe_load(storage.read_bytes(path)))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"the prompt is not YAML: {' '.join(str(error).split())}", path) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        fix = f"A prompt has: {', '.join(Prompt.model_fields)}."
        raise RecipeError(f"the prompt is wrong at {where}: {first['msg']}", path, fix) from None
