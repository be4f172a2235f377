"""The base class of steps that ask a model with a prompt from a file."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from manifests.step import GenerativeStep, Location, Worker
from manifests.step.spelling import nearest
from recaption.prompts.prompt import PACKAGED, Prompt, load_prompt, prompt_file


class PromptedStep(GenerativeStep):
    """A step that asks a model with a prompt. The prompt comes with this package, or is a user's
    own YAML file. The content of the prompt's file is part of the step's identity.

    A subclass sets the default of `prompt`. Its `placeholders` are the names in braces that the
    subclass fills in a prompt.
    """

    placeholders: ClassVar[tuple[str, ...]] = ("raw_text", "language")

    prompt: Annotated[str, Location()] = Field(
        description="name of a prompt of this package, or the path of a YAML file"
    )

    @field_validator("prompt")
    @classmethod
    def _is_name_or_path(cls, prompt: str) -> str:
        if prompt not in PACKAGED and not {"/", "."} & set(prompt):
            fix = f"{nearest(prompt, list(PACKAGED))} Or write the path of a YAML file."
            raise ValueError(f"no prompt named '{prompt}'. {fix}")
        return prompt

    def files(self, base: str) -> tuple[str, ...]:
        return (prompt_file(self.prompt, base),)

    def load(self, worker: Worker) -> Prompt:
        return load_prompt(prompt_file(self.prompt, worker.base), self.placeholders)
