"""Prompts, each a YAML file with a name and a version."""

from recaption.prompts.prompt import PACKAGED, Expects, Prompt, load_prompt, prompt_file
from recaption.prompts.prompted_step import PromptedStep

__all__ = ["PACKAGED", "Expects", "Prompt", "PromptedStep", "load_prompt", "prompt_file"]
