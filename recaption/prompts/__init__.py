"""Prompts, each a YAML file with a name and a version."""

from recaption.prompts.prompt import PACKAGED, Prompt, load_prompt, prompt_file
from recaption.prompts.prompted_step import PromptedStep

__all__ = ["PACKAGED", "Prompt", "PromptedStep", "load_prompt", "prompt_file"]
